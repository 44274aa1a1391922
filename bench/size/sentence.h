/* What is wrong, said by those who cannot print: parsers and whoever runs tasks. */
#ifndef ANTPOOL_SIZE_SENTENCE_H
#define ANTPOOL_SIZE_SENTENCE_H

/* Overwritten by the next call; that call may have it among its arguments. For one thread. */
__attribute__((format(printf, 1, 2))) const char *sentence(const char *format, ...);

#endif
