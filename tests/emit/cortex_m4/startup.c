/* Start of a program on qemu's mps2-an386 (Cortex-M4): memory, the words of the command line, main, exit code. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern uint32_t data_source[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];
extern void initialise_monitor_handles(void);
extern int main(int argc, char **argv);

/* The C library calls them at its end. */
void _init(void)
{
}

void _fini(void)
{
}

static char line[256];
static char *words[8];

static int semihosting(int number, void *block)
{
    register int r0 __asm__("r0") = number;
    register void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void reset(void)
{
    struct {
        char *line;
        int size;
    } block = {line, sizeof line};
    int count = 0;
    memcpy(data_begin, data_source, (char *)data_end - (char *)data_begin);
    memset(bss_begin, 0, (char *)bss_end - (char *)bss_begin);
    initialise_monitor_handles();
    semihosting(0x15, &block); /* SYS_GET_CMDLINE */
    for (char *word = strtok(line, " "); word != 0 && count < 7; word = strtok(0, " ")) {
        words[count++] = word;
    }
    exit(main(count, words));
}

static void fault(void)
{
    abort();
}

__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    stack_top, reset, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault};
