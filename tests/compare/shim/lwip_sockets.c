/* The same loads as the example `loopback --table`, through the blocking sockets of an installed
 * lwIP (threads, core locking): a program of its own, for lwip.c interposes the clock. Prints the
 * same rows. Build and run it with
 *
 *   cc -O2 lwip_sockets.c $(pkg-config --cflags --libs lwip) -lpthread -o lwip-sockets
 *   taskset -c 0 ./lwip-sockets      # on one CPU, as the tasks of the simulator are
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <lwip/netif.h>
#include <lwip/sockets.h>
#include <lwip/tcpip.h>

#define BYTES 200000000L
#define ROUND_TRIPS 50000L
#define MESSAGE 64

/* `trips` of MESSAGE bytes, or else BYTES in writes of `len`. */
struct work {
    long trips;
    int len;
    struct sockaddr_in server;
};

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "lwip: %s\n", what);
        exit(1);
    }
}

/* Debian's library has no loopback interface of its own. */
static err_t output(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
    (void)to;
    return netif_loop_output(netif, p);
}

static err_t init(struct netif *netif)
{
    netif->name[0] = 'l';
    netif->name[1] = 'o';
    netif->output = output;
    netif->mtu = 1500;
    return ERR_OK;
}

static void up(void *ready)
{
    static struct netif loopback;
    ip4_addr_t address, mask;
    IP4_ADDR(&address, 127, 0, 0, 1);
    IP4_ADDR(&mask, 255, 0, 0, 0);
    netif_add(&loopback, &address, &mask, &address, NULL, init, tcpip_input);
    netif_set_link_up(&loopback);
    netif_set_up(&loopback);
    netif_set_default(&loopback);
    sys_sem_signal(ready);
}

static void send_all(int fd, const char *data, int len)
{
    check(lwip_send(fd, data, len, 0) == len, "send");
}

static void *client(void *arg)
{
    const struct work *work = arg;
    static char data[8192];
    int one = 1, fd = lwip_socket(AF_INET, SOCK_STREAM, 0);
    check(lwip_connect(fd, (const void *)&work->server, sizeof work->server) == 0, "connect");
    if (work->trips > 0)
        lwip_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (long trip = 0; trip < work->trips; trip++) {
        send_all(fd, data, MESSAGE);
        for (int n, got = 0; got < MESSAGE; got += n) {
            n = lwip_recv(fd, data + got, MESSAGE - got, 0);
            check(n > 0, "recv");
        }
    }
    for (long sent = 0; work->trips == 0 && sent < BYTES; sent += work->len)
        send_all(fd, data, work->len);
    lwip_close(fd);
    return NULL;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

static void measure(long trips, int len)
{
    static int port = 6000;
    static char data[16384];
    struct work work = {.trips = trips, .len = len};
    work.server.sin_family = AF_INET;
    work.server.sin_port = lwip_htons(port++);
    work.server.sin_addr.s_addr = lwip_htonl(INADDR_LOOPBACK);
    int listener = lwip_socket(AF_INET, SOCK_STREAM, 0);
    check(lwip_bind(listener, (const void *)&work.server, sizeof work.server) == 0, "bind");
    check(lwip_listen(listener, 1) == 0, "listen");

    double time = seconds(), before = switches(), bytes = 0;
    pthread_t thread;
    check(pthread_create(&thread, NULL, client, &work) == 0, "a thread");
    int one = 1, fd = lwip_accept(listener, NULL, NULL);
    if (trips > 0)
        lwip_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (int n; (n = lwip_recv(fd, data, sizeof data, 0)) > 0; bytes += n)
        if (trips > 0)
            send_all(fd, data, n);
    time = seconds() - time;
    pthread_join(thread, NULL);
    double count = switches() - before;
    lwip_close(fd);
    lwip_close(listener);

    if (trips > 0)
        printf("| round trip of %d bytes | %.0f a second | %.1f |\n", MESSAGE, trips / time, count / trips);
    else
        printf("| writes of %d bytes | %.0f MB/s | %.0f per MB |\n", len, bytes / time / 1e6, count / (bytes / 1e6));
}

int main(void)
{
    sys_sem_t ready;
    check(sys_sem_new(&ready, 0) == ERR_OK, "a semaphore");
    tcpip_init(up, &ready);
    sys_arch_sem_wait(&ready, 0);
    puts("| | speed | switches |\n|---|---|---|");
    measure(0, 64);
    measure(0, 1460);
    measure(0, 8192);
    measure(ROUND_TRIPS, MESSAGE);
    return 0;
}
