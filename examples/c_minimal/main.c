// Copyright (c) medsam-engine contributors. Licensed under Apache-2.0.
// One image, one box, one mask: the engine in C.
//   c_minimal BUNDLE IMAGE.pgm X0 Y0 X1 Y1 MASK.pgm
#include <medsam/medsam.h>
#include <stdio.h>
#include <stdlib.h>

struct picture {
  int width, height;
  uint8_t* pixels;
};

// An 8 bit PGM file (P5), without comments. Returns whether it could be read.
static int read_pgm(const char* path, struct picture* picture) {
  FILE* file = fopen(path, "rb");
  if (file == NULL) return 0;
  int read = fscanf(file, "P5 %d %d 255", &picture->width, &picture->height) == 2 && fgetc(file) != EOF &&
             picture->width > 0 && picture->height > 0 && picture->width < 65536 && picture->height < 65536;
  if (read) {
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    picture->pixels = malloc(pixels);
    read = picture->pixels != NULL && fread(picture->pixels, 1, pixels, file) == pixels;
  }
  fclose(file);
  return read;
}

static int write_pgm(const char* path, const struct picture* picture) {
  FILE* file = fopen(path, "wb");
  if (file == NULL) return 0;
  const size_t pixels = (size_t)picture->width * (size_t)picture->height;
  const int written = fprintf(file, "P5\n%d %d\n255\n", picture->width, picture->height) > 0 &&
                      fwrite(picture->pixels, 1, pixels, file) == pixels;
  return fclose(file) == 0 && written;
}

static void print_message(void* context, int32_t level, const char* message) {
  (void)context;
  fprintf(stderr, "%s%s\n", level == MEDSAM_LOG_WARNING ? "warning: " : "", message);
}

// Every failed call leaves its message in medsam_last_error(), so one check after the other is enough.
static medsam_status segment(const char* bundle, const struct picture* in, const medsam_box* box,
                             struct picture* mask) {
  medsam_engine_options options;
  medsam_status status = medsam_engine_options_init(&options, sizeof options);
  if (status != MEDSAM_OK) return status;
  options.log = print_message;

  medsam_engine* engine = NULL;  // load it once, and share it between threads
  status = medsam_engine_create(bundle, &options, &engine);
  if (status != MEDSAM_OK) return status;

  const medsam_image image = {in->pixels, MEDSAM_PIXEL_U8, 1, in->height, in->width, in->width};
  medsam_embedding* embedding = NULL;  // the expensive step; whatever is asked about this image afterwards is quick
  medsam_prediction* prediction = NULL;
  medsam_mask_stats stats;
  medsam_prompt prompt;
  status = medsam_encode(engine, &image, NULL, &embedding);
  if (status == MEDSAM_OK) status = medsam_prompt_init(&prompt, sizeof prompt);
  if (status == MEDSAM_OK) {
    prompt.box = box;
    status = medsam_predict(engine, embedding, &prompt, 1, NULL, &prediction);
  }
  if (status == MEDSAM_OK) {
    const medsam_labels out = {mask->pixels, MEDSAM_LABEL_U8, 0, mask->height, mask->width, mask->width};
    status = medsam_prediction_write_mask(prediction, 0, 0, &out, 255, &stats);
  }
  float iou = 0;
  if (status == MEDSAM_OK) status = medsam_prediction_read_iou(prediction, &iou, 1);
  if (status == MEDSAM_OK) printf("%lld pixels, estimated IoU %g\n", (long long)stats.area, (double)iou);

  medsam_prediction_destroy(prediction);
  medsam_embedding_destroy(embedding);
  medsam_engine_destroy(engine);
  return status;
}

int main(int argc, char** argv) {
  if (argc != 8) {
    fprintf(stderr, "usage: c_minimal BUNDLE IMAGE.pgm X0 Y0 X1 Y1 MASK.pgm\n");
    return 2;
  }
  struct picture image = {0, 0, NULL}, mask = {0, 0, NULL};
  int result = 1;
  if (!read_pgm(argv[2], &image)) {
    fprintf(stderr, "c_minimal: %s: not an 8 bit PGM file, or not to be read\n", argv[2]);
  } else {
    const medsam_box box = {atof(argv[3]), atof(argv[4]), atof(argv[5]), atof(argv[6])};
    mask.width = image.width;
    mask.height = image.height;
    mask.pixels = calloc((size_t)mask.width, (size_t)mask.height);
    const medsam_status status = mask.pixels == NULL ? MEDSAM_OUT_OF_MEMORY : segment(argv[1], &image, &box, &mask);
    if (status != MEDSAM_OK) {
      fprintf(stderr, "c_minimal: %s: %s\n", medsam_status_name(status), medsam_last_error());
    } else if (!write_pgm(argv[7], &mask)) {
      fprintf(stderr, "c_minimal: %s: cannot be written\n", argv[7]);
    } else {
      result = 0;
    }
  }
  free(image.pixels);
  free(mask.pixels);
  return result;
}
