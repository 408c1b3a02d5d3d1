// The sub-commands of `i1`: each parses its own arguments, calls the library and returns the exit
// status. They throw UserError and Failure; `main` turns those into one line and a status.
#pragma once

namespace i1 {

int run_check(int argc, char** argv);
int run_convert(int argc, char** argv);
int run_data(int argc, char** argv);
int run_data_build(int argc, char** argv);
int run_data_cache(int argc, char** argv);
int run_data_caption(int argc, char** argv);
int run_data_fetch(int argc, char** argv);
int run_data_hash(int argc, char** argv);
int run_data_merge(int argc, char** argv);
int run_data_tokenizer(int argc, char** argv);
int run_download(int argc, char** argv);
int run_evaluate(int argc, char** argv);
int run_generate(int argc, char** argv);
int run_inspect(int argc, char** argv);
int run_train(int argc, char** argv);

}  // namespace i1
