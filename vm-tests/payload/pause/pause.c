/* Holds a pod's namespaces: waits for children that nobody else waits for, ends on SIGTERM or SIGINT. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(int signal) { _exit(signal == SIGTERM || signal == SIGINT ? 0 : 1); }
static void reap(int signal) { (void)signal; while (waitpid(-1, 0, WNOHANG) > 0) {} }

int main(void) {
    if (signal(SIGTERM, leave) == SIG_ERR || signal(SIGINT, leave) == SIG_ERR || signal(SIGCHLD, reap) == SIG_ERR) return 1;
    for (;;) pause();
}
