/* In front of scan.c: a variable of the backend, which has one thread; here each thread has one (parser-backend.c). */
#define error_context_stack (*parser_error_callbacks())
