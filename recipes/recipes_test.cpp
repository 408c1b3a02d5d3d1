// What holds for every recipe, whatever its numbers are.
#include "recipes/recipes.h"

#include <map>
#include <set>

#include "i1/core/config.h"
#include "i1/core/testing.h"

namespace i1 {
namespace {

std::vector<TrainConfig> all_stages() {
  std::vector<TrainConfig> all;
  for (const std::string& name : recipe_names()) {
    for (TrainConfig& stage : find_recipe(name)) all.push_back(std::move(stage));
  }
  return all;
}

TEST(Recipes, EveryNameGivesStagesThatCanBeTrained) {
  EXPECT_FALSE(recipe_names().empty());
  std::set<std::string> names;
  for (const std::string& name : recipe_names()) {
    SCOPED_TRACE(name);
    EXPECT_FALSE(find_recipe(name).empty());
    for (const TrainConfig& stage : find_recipe(name)) {
      SCOPED_TRACE(stage.recipe);
      EXPECT_NO_THROW(check_train_config(stage));
      if (stage.text.is_trained) {
        EXPECT_NO_THROW(check_t5gemma_config(stage.text.config, stage.recipe));
      }
      EXPECT_TRUE(names.insert(stage.recipe).second) << "two stages would share a folder";
    }
  }
}

TEST(Recipes, ComeBackFromJson) {
  for (const TrainConfig& stage : all_stages()) {
    TrainConfig found;
    from_json(found, nlohmann::json::parse(to_json(stage).dump()), stage.recipe);
    EXPECT_EQ(to_json(found), to_json(stage));
  }
}

TEST(Recipes, SizesFitEachOther) {
  for (const TrainConfig& stage : all_stages()) {
    SCOPED_TRACE(stage.recipe);
    EXPECT_EQ(stage.model.latent_size, stage.model.resolution / 8);
    EXPECT_LE(stage.max_caption_tokens, stage.model.num_text_tokens);
    EXPECT_LE(stage.num_warmup_steps, stage.num_steps);
    EXPECT_FALSE(stage.text.tokenizer.empty());
    EXPECT_NE(stage.text.is_trained, !stage.text.encoder.empty());
    const std::set<std::string> sets(stage.data_sets.begin(), stage.data_sets.end());
    EXPECT_EQ(sets.size(), stage.data_sets.size()) << "a data set is named twice";
    for (const std::string& set : sets) {  // "cache64/emoji" holds latents of 64 pixels
      if (set.find('/') == std::string::npos) continue;
      EXPECT_TRUE(set.starts_with(concat("cache", stage.model.resolution, "/"))) << set;
    }
    if (stage.checkpoint_every == 0) continue;
    EXPECT_EQ(stage.keep_every % stage.checkpoint_every, 0) << "kept steps are not written";
  }
}

TEST(Recipes, AStageStartsFromOneThatIsThereAndFits) {
  std::map<std::string, TrainConfig> earlier;  // recipes are listed in the order of their stages
  int64_t num_chained = 0;
  for (const TrainConfig& stage : all_stages()) {
    SCOPED_TRACE(stage.recipe);
    if (!stage.init_from.empty()) {
      ++num_chained;
      ASSERT_TRUE(earlier.contains(stage.init_from)) << stage.init_from;
      const TrainConfig& first = earlier.at(stage.init_from);
      EXPECT_GT(stage.model.resolution, first.model.resolution);
      ModelConfig model = stage.model;  // equal but for what belongs to a resolution
      model.resolution = first.model.resolution;
      model.latent_size = first.model.latent_size;
      EXPECT_EQ(to_json(model), to_json(first.model));
      EXPECT_EQ(stage.text.tokenizer, first.text.tokenizer);
      if (stage.text.is_trained) {
        EXPECT_TRUE(first.text.is_trained);
        EXPECT_EQ(stage.text.config, first.text.config);
      } else if (first.text.is_trained) {
        EXPECT_TRUE(stage.text.encoder.starts_with(first.recipe + "/"))
            << "reads another encoder than it was trained with: " << stage.text.encoder;
      } else {
        EXPECT_EQ(stage.text.encoder, first.text.encoder);
      }
    }
    earlier[stage.recipe] = stage;
  }
  EXPECT_GE(num_chained, 2);
}

TEST(Recipes, StagesOfOneRecipeFollowEachOther) {
  for (const std::string& name : recipe_names()) {
    const std::vector<TrainConfig> stages = find_recipe(name);
    EXPECT_EQ(stages.size() == 1, stages[0].recipe == name);
    for (size_t i = 1; i < stages.size(); ++i)
      EXPECT_EQ(stages[i].init_from, stages[i - 1].recipe) << stages[i].recipe;
  }
}

TEST(Recipes, AnUnknownNameIsAnsweredWithThoseThatThereAre) {
  for (const char* name : {"", "nanno", "nano_32", "NANO", "a/b"}) {
    const auto find = [&] { find_recipe(name); };
    expect_error(concat("unknown recipe \"", name, "\""), find);
    for (const std::string& known : recipe_names()) expect_error(known, find);
  }
  expect_error("nearest: \"nano\"", [] { find_recipe("nanno"); });
}

}  // namespace
}  // namespace i1
