#include "i1/eval/nano_free_prompts.h"

namespace i1 {

const std::vector<std::string>& nano_free_prompts() {
  static const std::vector<std::string> prompts = {
      // things in a colour that they do not have
      "a red apple on a blue plate", "a blue banana", "a green heart", "a purple fire engine",
      "a pink elephant", "a yellow penguin", "a blue rose", "an orange frog", "a green pizza",
      "a red whale", "a black sunflower", "a golden rocket",
      // styles
      "a 3D render of a snowman", "a flat icon of a snowman", "a shaded cartoon of a snowman",
      "a drawing of a snowman with thick black outlines", "a 3D render of a blue cat",
      "a flat icon of a red tree", "a shaded cartoon of a green dog",
      "a drawing of a yellow fish with thick black outlines",
      // two things
      "a cat and a dog", "a penguin and a fire engine", "an apple and a banana",
      "a sun and a cactus", "a robot and a guitar", "a house and a tree", "a car and a bicycle",
      "a fish and a star", "a crown and a ring", "a cup of coffee and a croissant",
      "a frog and a mushroom", "a key and a lock",
      // places
      "a yellow star above a green tree on a white background",
      "a red car to the left of a blue house", "a cat below a cloud",
      "a dog to the right of a tree", "a moon above a mountain", "a balloon above a horse",
      "a fish below a boat", "a bee to the left of a flower",
      // backgrounds
      "a rocket on a black background", "a lemon on a purple background",
      "a snowman on a red background", "a pig on a green background", "a bell on a blue background",
      "a carrot on a pink background",
      // shapes
      "a blue square and a red circle", "a green triangle above a yellow square", "a red star",
      "a black ring", "a purple diamond to the left of an orange circle",
      // people
      "a woman astronaut", "a man cook with dark skin tone", "a farmer with a pumpkin",
      "a firefighter and a dog", "a vampire on a yellow background", "a grinning face with a hat",
      // words
      "the word \"hello\" in red letters", "the word \"love\" in black letters",
      // long or strange
      "a small yellow duck in the middle of a big blue lake, seen from above",
      "a cat that wears a crown and eats a pizza", "a tree made of ice cream",
      "an elephant on a bicycle", "the end of the world"};
  return prompts;
}

}  // namespace i1
