/* lwIP at work: two interfaces of one stack joined by a wire, used through the raw API. Linked
 * with the installed shared library; sys_now is interposed by a virtual clock. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"
#include "netif/ethernet.h"

#define PORT 7
#define FRAMES 4096
#define MSS 1460

enum work { BULK, ROUND_TRIP, CONNECT, UDP_ECHO };

struct frame {
    struct pbuf_custom pc; /* first: the pbuf is the frame */
    struct frame *next;
    uint16_t len;
    uint8_t bytes[1536];
};

struct queue {
    struct frame *first, **end;
};

static uint64_t now_us = 1000000;
static struct frame frames[FRAMES], *free_frames;
static struct netif netifs[2];
static struct queue to[2]; /* frames on their way to netif n */
static uint64_t sent[2];
static int started;

static enum work work;
static int copying, len, connections, connected, turn;
static struct tcp_pcb *pcbs[1024], *listener;
static struct udp_pcb *client_udp, *server_udp;
static uint64_t to_write, to_be_acked, to_do;
static int missing, busy;
static uint8_t content[8 * MSS], buffer[65536];

/* The library's own reads the real clock. */
u32_t sys_now(void) { return (u32_t)(now_us / 1000); }

static void check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "lwip: %s\n", what);
        abort();
    }
}

static void frame_free(struct pbuf *p)
{
    struct frame *f = (struct frame *)p;
    f->next = free_frames;
    free_frames = f;
}

/* The device's copy out of the stack's buffers. */
static err_t link_output(struct netif *netif, struct pbuf *p)
{
    int me = netif == &netifs[1];
    struct queue *q = &to[!me];
    struct frame *f = free_frames;
    check(f != NULL, "no frame is free");
    free_frames = f->next;
    f->len = pbuf_copy_partial(p, f->bytes, p->tot_len, 0);
    f->next = NULL;
    *q->end = f;
    q->end = &f->next;
    sent[me]++;
    return ERR_OK;
}

static err_t netif_start(struct netif *netif)
{
    netif->linkoutput = link_output;
    netif->output = etharp_output;
    netif->mtu = 1500;
    netif->hwaddr_len = 6;
    memset(netif->hwaddr, 0, 6);
    netif->hwaddr[0] = 2;
    netif->hwaddr[5] = netif == &netifs[0] ? 1 : 2;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

static void deliver(int me)
{
    struct queue *q = &to[me];
    while (q->first) {
        struct frame *f = q->first;
        struct pbuf *p;
        q->first = f->next;
        if (!q->first)
            q->end = &q->first;
        f->pc.custom_free_function = frame_free;
        p = pbuf_alloced_custom(PBUF_RAW, f->len, PBUF_REF, &f->pc, f->bytes, sizeof f->bytes);
        if (netifs[me].input(p, &netifs[me]) != ERR_OK)
            pbuf_free(p);
    }
}

static void step(void)
{
    now_us += 10;
    sys_check_timeouts();
    if (!to[0].first && !to[1].first)
        now_us += 1000; /* a timer is waited for */
    deliver(0);
    deliver(1);
}

/* ---- bulk ---- */

static void fill(struct tcp_pcb *pcb)
{
    while (to_write > 0) {
        int piece = 4 * MSS;
        if ((uint64_t)piece > to_write)
            piece = (int)to_write;
        if (tcp_sndbuf(pcb) < piece)
            return;
        if (tcp_write(pcb, content, (u16_t)piece,
                      TCP_WRITE_FLAG_MORE | (copying ? TCP_WRITE_FLAG_COPY : 0)) != ERR_OK)
            return;
        to_write -= (uint64_t)piece;
    }
}

static err_t bulk_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
    to_be_acked -= n;
    fill(pcb);
    return ERR_OK;
}

static err_t bulk_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    if (!p)
        return ERR_OK;
    if (copying)
        pbuf_copy_partial(p, buffer, p->tot_len, 0);
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

/* ---- request and response ---- */

static void ask(void)
{
    struct tcp_pcb *pcb = pcbs[turn];
    if (to_do == 0)
        return;
    to_do--;
    turn = (turn + 1) % connections;
    missing = len;
    check(tcp_write(pcb, content, (u16_t)len, TCP_WRITE_FLAG_COPY) == ERR_OK, "write");
    tcp_output(pcb);
}

static err_t ask_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    if (!p)
        return ERR_OK;
    missing -= p->tot_len;
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    if (missing == 0)
        ask();
    return ERR_OK;
}

static err_t answer_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    if (!p)
        return ERR_OK;
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    check(tcp_write(pcb, content, (u16_t)len, TCP_WRITE_FLAG_COPY) == ERR_OK, "write");
    return ERR_OK; /* tcp_input sends it */
}

/* ---- connections ---- */

static err_t call_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    return tcp_close(pcb);
}

static void call(void);

static err_t call_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    if (p) {
        pbuf_free(p);
        return ERR_OK;
    }
    call();
    return ERR_OK;
}

static void connect_to_server(struct tcp_pcb *pcb, tcp_connected_fn done)
{
    ip_addr_t addr = IPADDR4_INIT_BYTES(10, 0, 0, 2);
    check(tcp_connect(pcb, &addr, PORT, done) == ERR_OK, "connect");
}

static struct tcp_pcb *new_tcp(int side)
{
    struct tcp_pcb *pcb = tcp_new_ip_type(IPADDR_TYPE_V4);
    check(pcb != NULL, "no pcb");
    tcp_bind_netif(pcb, &netifs[side]);
    return pcb;
}

static void call(void)
{
    struct tcp_pcb *pcb;
    busy = to_do > 0;
    if (!busy)
        return;
    to_do--;
    pcb = new_tcp(0);
    tcp_recv(pcb, call_recv);
    connect_to_server(pcb, call_connected);
}

static err_t callee_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    if (!p)
        return tcp_close(pcb);
    pbuf_free(p);
    return ERR_OK;
}

/* Lets the connections in TIME-WAIT die: tcp_ticks, not sys_now, is their clock. */
static void pass_two_msl(void)
{
    tcp_ticks += 2 * TCP_MSL / TCP_SLOW_INTERVAL + 2;
    tcp_slowtmr();
}

/* ---- both ---- */

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
    switch (work) {
    case BULK:
        tcp_recv(pcb, bulk_recv);
        break;
    case ROUND_TRIP:
        tcp_nagle_disable(pcb);
        tcp_recv(pcb, answer_recv);
        break;
    default:
        tcp_recv(pcb, callee_recv);
    }
    return ERR_OK;
}

static err_t client_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    connected++;
    return ERR_OK;
}

/* ---- UDP ---- */

static void send_datagram(void)
{
    ip_addr_t addr = IPADDR4_INIT_BYTES(10, 0, 0, 2);
    struct pbuf *p;
    busy = to_do > 0;
    if (!busy)
        return;
    to_do--;
    p = pbuf_alloc(PBUF_TRANSPORT, (u16_t)len, PBUF_RAM);
    check(p != NULL, "no pbuf");
    memcpy(p->payload, content, (size_t)len);
    check(udp_sendto(client_udp, p, &addr, PORT) == ERR_OK, "sendto");
    pbuf_free(p);
}

static void client_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *addr, u16_t port)
{
    check(p->tot_len == len, "echo of another length");
    pbuf_free(p);
    send_datagram();
}

static void server_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *addr, u16_t port)
{
    udp_sendto(pcb, p, addr, port);
    pbuf_free(p);
}

/* ---- what Rust calls ---- */

void compare_lwip_open(int the_work, int the_len, int the_connections, int is_copying)
{
    int n;
    work = (enum work)the_work;
    len = the_len;
    connections = the_connections;
    copying = is_copying;
    connected = turn = missing = busy = 0;
    to_write = to_be_acked = to_do = 0;
    sent[0] = sent[1] = 0;
    if (!started) {
        ip4_addr_t addr, mask, none;
        started = 1;
        lwip_init();
        memset(content, 0x5a, sizeof content);
        to[0].end = &to[0].first;
        to[1].end = &to[1].first;
        for (n = 0; n < FRAMES; n++)
            frame_free((struct pbuf *)&frames[n]);
        IP4_ADDR(&mask, 255, 255, 255, 0);
        IP4_ADDR(&none, 0, 0, 0, 0);
        for (n = 0; n < 2; n++) {
            IP4_ADDR(&addr, 10, 0, 0, n + 1);
            check(netif_add(&netifs[n], &addr, &mask, &none, NULL, netif_start, ethernet_input) != NULL, "netif");
            netif_set_up(&netifs[n]);
        }
        for (n = 0; n < 10; n++)
            step();
    }
    if (work == UDP_ECHO) {
        client_udp = udp_new_ip_type(IPADDR_TYPE_V4);
        server_udp = udp_new_ip_type(IPADDR_TYPE_V4);
        udp_bind_netif(client_udp, &netifs[0]);
        udp_bind_netif(server_udp, &netifs[1]);
        check(udp_bind(client_udp, netif_ip_addr4(&netifs[0]), PORT) == ERR_OK, "bind");
        check(udp_bind(server_udp, netif_ip_addr4(&netifs[1]), PORT) == ERR_OK, "bind");
        udp_recv(client_udp, client_datagram, NULL);
        udp_recv(server_udp, server_datagram, NULL);
        return;
    }
    listener = new_tcp(1);
    check(tcp_bind(listener, netif_ip_addr4(&netifs[1]), PORT) == ERR_OK, "bind");
    listener = tcp_listen(listener);
    check(listener != NULL, "listen");
    tcp_accept(listener, accepted);
    if (work == CONNECT)
        return;
    if (work == BULK)
        connections = 1;
    for (n = 0; n < connections; n++) {
        pcbs[n] = new_tcp(0);
        if (work == BULK) {
            tcp_sent(pcbs[n], bulk_sent);
        } else {
            tcp_nagle_disable(pcbs[n]);
            tcp_recv(pcbs[n], ask_recv);
        }
        connect_to_server(pcbs[n], client_connected);
        while (connected <= n)
            step();
    }
    for (n = 0; n < 10; n++)
        step();
}

void compare_lwip_run(uint64_t units)
{
    switch (work) {
    case BULK:
        to_write += units * MSS;
        to_be_acked += units * MSS;
        fill(pcbs[0]);
        tcp_output(pcbs[0]);
        while (to_be_acked > 0)
            step();
        break;
    case ROUND_TRIP:
        to_do += units;
        ask();
        while (to_do > 0 || missing > 0)
            step();
        break;
    case CONNECT:
        while (units > 0) {
            uint64_t batch = units < 16 ? units : 16;
            units -= batch;
            to_do += batch;
            call();
            while (busy)
                step();
            step();
            pass_two_msl();
        }
        break;
    case UDP_ECHO:
        to_do += units;
        send_datagram();
        while (busy)
            step();
        break;
    }
}

uint64_t compare_lwip_frames(int side) { return sent[side]; }

void compare_lwip_close(void)
{
    if (work == UDP_ECHO) {
        udp_remove(client_udp);
        udp_remove(server_udp);
        return;
    }
    while (tcp_active_pcbs)
        tcp_abort(tcp_active_pcbs);
    while (tcp_tw_pcbs)
        tcp_abort(tcp_tw_pcbs);
    tcp_close(listener);
    while (to[0].first || to[1].first)
        step();
}
