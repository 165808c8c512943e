// SPDX-License-Identifier: GPL-3.0-or-later

// lockstep ADDRESS PORT DIR: the least that a TFTP server in one thread does for each block of a
// transfer in lock step: it waits, receives, and sends. It reads files once, knows the options
// tsize and blksize, believes its clients and never sends anything again. What other servers do
// beside that is compared with it.

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <unistd.h>

struct transfer {
	int fd;
	const char *data; // of the file
	size_t size;      // of the file
	size_t block;     // bytes a block
	size_t next;      // number of the block that is to be acknowledged
};

static int fail(const char *what)
{
	perror(what);
	exit(1);
}

static int watch(int poll, int fd, void *data)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = data};
	return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
}

// options writes the answer to those in [p, end) and returns its length.
static size_t options(struct transfer *t, char *p, char *end, char *out)
{
	char *to = out + 2;
	out[0] = 0, out[1] = 6;
	while (p < end) {
		char *name = p, *value = name + strlen(name) + 1;
		if (value >= end)
			break;
		p = value + strlen(value) + 1;
		size_t n = t->size;
		if (!strcasecmp(name, "blksize"))
			n = t->block = strtoul(value, NULL, 10);
		else if (strcasecmp(name, "tsize"))
			continue;
		to += sprintf(to, "%s", name) + 1;
		to += sprintf(to, "%zu", n) + 1;
	}
	return to - out;
}

static void begin(int poll, int listener, const char *dir)
{
	char p[2048] = {0}, path[4096], out[2048];
	struct sockaddr_in from, self = {.sin_family = AF_INET};
	socklen_t len = sizeof from;
	ssize_t n = recvfrom(listener, p, sizeof p - 2, 0, (struct sockaddr *)&from, &len);
	if (n < 4 || p[1] != 1)
		return;
	char *name = p + 2, *mode = name + strlen(name) + 1;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	struct transfer *t = calloc(1, sizeof *t);
	int file = open(path, O_RDONLY);
	struct stat st;
	t->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	len = sizeof self;
	getsockname(listener, (struct sockaddr *)&self, &len);
	self.sin_port = 0;
	if (bind(t->fd, (struct sockaddr *)&self, sizeof self) || connect(t->fd, (struct sockaddr *)&from, sizeof from))
		fail("socket");
	if (file < 0 || fstat(file, &st)) {
		send(t->fd, "\0\5\0\1none", 9, 0);
		close(t->fd);
		free(t);
		return;
	}
	t->size = st.st_size;
	t->data = mmap(NULL, t->size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
	close(file);
	t->block = 512;
	send(t->fd, out, options(t, mode + strlen(mode) + 1, p + n, out), 0);
	watch(poll, t->fd, t);
}

static void answer(struct transfer *t)
{
	uint8_t p[516], header[4] = {0, 3};
	if (recv(t->fd, p, sizeof p, 0) < 4 || p[1] != 4 || (p[2] << 8 | p[3]) != (uint16_t)t->next)
		return;
	size_t off = t->next++ * t->block;
	if (off > t->size) {
		munmap((void *)t->data, t->size);
		close(t->fd);
		free(t);
		return;
	}
	size_t n = t->size - off < t->block ? t->size - off : t->block;
	header[2] = t->next >> 8, header[3] = t->next;
	struct iovec parts[2] = {{header, 4}, {(void *)(t->data + off), n}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	sendmsg(t->fd, &m, 0);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	struct sockaddr_in self = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2])), .sin_addr.s_addr = inet_addr(argv[1])};
	int poll = epoll_create1(0), listener = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), room = 1 << 20;
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	if (bind(listener, (struct sockaddr *)&self, sizeof self) || watch(poll, listener, NULL))
		fail("listen");
	for (;;) {
		struct epoll_event events[128];
		int n = epoll_wait(poll, events, 128, -1);
		for (int i = 0; i < n; i++)
			if (events[i].data.ptr)
				answer(events[i].data.ptr);
			else
				begin(poll, listener, argv[3]);
	}
}
