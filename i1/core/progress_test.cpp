// What long work tells, and how it ends when asked to.
#include "i1/core/progress.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <sstream>

#include "i1/core/interrupt.h"

namespace i1 {
namespace {

// Standard error of a test is a file here, so lines are printed and none is redrawn.
std::string printed(const std::function<void()>& work) {
  testing::internal::CaptureStderr();
  work();
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, DurationsReadAsPeopleSayThem) {
  EXPECT_EQ(format_duration(0), "0 s");
  EXPECT_EQ(format_duration(44.6), "45 s");
  EXPECT_EQ(format_duration(59.6), "1 min 00 s");
  EXPECT_EQ(format_duration(750), "12 min 30 s");
  EXPECT_EQ(format_duration(3 * 3600 + 5 * 60), "3 h 05 min");
  EXPECT_EQ(format_duration(2 * 86400 + 4 * 3600), "2 d 04 h");
}

TEST(Progress, ALineTellsWhatHowManyRateAndTimeLeft) {
  const std::string text = printed([] {
    Progress progress("train", 1000, "pictures", 0);
    progress.update(10);
    progress.update(20, "loss 0.412");
  });
  std::istringstream lines(text);
  std::string first, second, third;
  std::getline(lines, first);
  std::getline(lines, second);
  EXPECT_TRUE(first.starts_with("train: 10 of 1000 pictures, ")) << text;
  EXPECT_TRUE(first.ends_with(" left")) << text;
  EXPECT_TRUE(second.starts_with("train: 20 of 1000 pictures, ")) << text;
  EXPECT_TRUE(second.ends_with(" left, loss 0.412")) << text;
  EXPECT_NE(second.find(" a second, "), std::string::npos) << text;
  EXPECT_FALSE(std::getline(lines, third)) << text;
}

TEST(Progress, BeforeTheFirstOneNoTimeLeftIsInvented) {
  EXPECT_NE(printed([] { Progress("x", 9, "files", 0).update(0); }).find("0 a second, ? left"),
            std::string::npos);
  // What an earlier process did is done, and no rate of this one.
  EXPECT_NE(printed([] {
              Progress("x", 9, "files", 0, 5).update(5);
            }).find("x: 5 of 9 files, 0 a second, ? left"),
            std::string::npos);
}

TEST(Progress, ShortWorkAndOneThingAreSilent) {
  EXPECT_EQ(printed([] {
              Progress progress("x", 9, "files");
              for (int i = 1; i <= 9; ++i) progress.update(i);
            }),
            "");
  EXPECT_EQ(printed([] { Progress("x", 1, "files", 0).update(1); }), "");
}

[[noreturn]] void run_interrupted(int signal) {
  catch_interrupts();
  if (is_interrupted()) std::_Exit(9);
  std::raise(signal);
  try {
    check_interrupt();
  } catch (const Interrupted& interrupted) {
    std::_Exit(std::string(interrupted.what()) == "interrupted" ? 3 : 9);
  }
  std::_Exit(9);
}

TEST(InterruptDeathTest, ASignalIsAnExceptionBetweenTwoSteps) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    EXPECT_EXIT(run_interrupted(signal), testing::ExitedWithCode(3), "") << signal;
  }
}

TEST(InterruptDeathTest, TheSameSignalTwiceEndsTheProgram) {
  EXPECT_EXIT(
      {
        catch_interrupts();
        std::raise(SIGTERM);
        std::raise(SIGTERM);
        std::_Exit(9);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(InterruptDeathTest, SignalsThatTheParentIgnoresStayIgnored) {
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN);  // as nohup does
        catch_interrupts();
        std::raise(SIGHUP);
        std::_Exit(is_interrupted() ? 9 : 3);
      },
      testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace i1
