/* Segments an image with an exported SavedModel, without Python: TensorFlow's C API is all it needs.
 *
 *     cc segment.c -I TF/include -L TF -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 -Wl,-rpath,TF -o segment
 *     ./segment exported/1 photo.jpg mask.png
 *
 * TF is where libtensorflow was unpacked, or the folder of the Python package "tensorflow", which holds the same files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <tensorflow/c/c_api.h>

static void require(int is_right, const char *what, const char *about) {
  if (is_right) return;
  fprintf(stderr, "error: %s: %s\n", about, what);
  exit(2);
}

static void require_ok(TF_Status *status, const char *about) {
  require(TF_GetCode(status) == TF_OK, TF_Message(status), about);
}

/* Reads a whole file into a tensor of one string. */
static TF_Tensor *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  require(file != NULL, "cannot be read", path);
  char *bytes = NULL;
  size_t length = 0, room = 0;
  do {
    bytes = realloc(bytes, room += 1 << 20);
    require(bytes != NULL, "does not fit into memory", path);
    length += fread(bytes + length, 1, room - length, file);
  } while (length == room);
  require(!ferror(file), "cannot be read", path);
  fclose(file);
  const int64_t shape[] = {1};
  TF_Tensor *tensor = TF_AllocateTensor(TF_STRING, shape, 1, sizeof(TF_TString));
  TF_StringInit(TF_TensorData(tensor));
  TF_StringCopy(TF_TensorData(tensor), bytes, length);
  free(bytes);
  return tensor;
}

/* Returns the operation that makes a mask and the shares of classes: of the signatures, it alone has two outputs. */
static TF_Operation *mask_operation(TF_Graph *graph) {
  for (int number = 0; number < 10; number++) {
    char name[40];
    snprintf(name, sizeof name, number ? "StatefulPartitionedCall_%d" : "StatefulPartitionedCall", number);
    TF_Operation *operation = TF_GraphOperationByName(graph, name);
    if (operation != NULL && TF_OperationNumOutputs(operation) == 2)
      return operation;
  }
  return NULL;
}

int main(int argc, char **argv) {
  require(argc == 4, "give SAVED_MODEL PHOTO MASK.png", argv[0]);
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  require_ok(status, argv[1]);

  /* The tensors of the signature serving_default, as `saved_model_cli show --all` names them. */
  TF_Output input = {TF_GraphOperationByName(graph, "serving_default_image_bytes"), 0};
  TF_Output output = {mask_operation(graph), 1};
  require(input.oper != NULL && output.oper != NULL, "is no SavedModel of python -m export.saved_model", argv[1]);
  TF_Tensor *photo = read_file(argv[2]), *mask = NULL;
  TF_SessionRun(session, NULL, &input, &photo, 1, &output, &mask, 1, NULL, 0, NULL, status);
  require_ok(status, argv[2]);

  const TF_TString *png = TF_TensorData(mask);
  FILE *file = fopen(argv[3], "wb");
  require(file != NULL, "cannot be written", argv[3]);
  require(fwrite(TF_StringGetDataPointer(png), 1, TF_StringGetSize(png), file) == TF_StringGetSize(png) && !fclose(file),
          "cannot be written", argv[3]);
  return 0;
}
