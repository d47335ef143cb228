package main

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// memoryAttacks are those that make a node hold much for little.
var memoryAttacks = []attack{
	{name: "9,900 connections are idle after a request", run: func(a *attacked, done <-chan struct{}) {
		a.each(9900, done, func(c net.Conn) error {
			if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				return err
			}
			return drained(c)
		})
	}},
	{name: "2,000 connections ask for 1 MB of records each and read a byte a second", run: slowReaders},
	{name: "64 connections send requests without end and read no answer", run: func(a *attacked, done <-chan struct{}) {
		requests := []byte(strings.Repeat("GET /topics HTTP/1.1\r\nHost: h\r\n\r\n", 1000))
		a.each(64, done, func(c net.Conn) error {
			for {
				if _, err := c.Write(requests); err != nil {
					return err
				}
			}
		})
	}},
	{name: "16 connections announce 1 GB and send it", run: func(a *attacked, done <-chan struct{}) {
		a.each(16, done, func(c net.Conn) error { return sendEndless(c, announcing(1<<30), "") })
	}},
	{name: "16 connections send 1 GB in chunks", run: func(a *attacked, done <-chan struct{}) {
		a.each(16, done, func(c net.Conn) error { return sendEndless(c, chunked(), "10000\r\n") })
	}},
	bomb("zstd", func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w)
		if err != nil {
			panic(err)
		}
		return z
	}),
	bomb("br", func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }),
	bomb("deflate", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }),
	{name: "16 connections send 8,000,000 records that are numbers", run: func(a *attacked, done <-chan struct{}) {
		a.numbers(done, `{"records":[`, `1]}`)
	}},
	{name: "16 connections send a record of 8,000,000 numbers", run: func(a *attacked, done <-chan struct{}) {
		a.numbers(done, `{"records":[{"value":[`, `1]}]}`)
	}},
	{name: "64 connections name a new topic, group and path in each request", run: func(a *attacked, done <-chan struct{}) {
		var n atomic.Int64
		a.each(64, done, func(c net.Conn) error {
			answers := bufio.NewReader(c)
			for {
				i := n.Add(1)
				path := [...]string{"/topics/t%d", "/consumers/g%d/instances/i/records", "/p%d"}[i%3]
				if _, err := fmt.Fprintf(c, "GET "+path+" HTTP/1.1\r\nHost: h%d\r\n\r\n", i, i); err != nil {
					return err
				}
				resp, err := http.ReadResponse(answers, nil)
				if err != nil {
					return err
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}},
}

// slowReaders read answers that the node has to hold.
func slowReaders(a *attacked, done <-chan struct{}) {
	record := `{"value":"` + strings.Repeat("v", 100_000) + `"}`
	client := &http.Client{Timeout: 10 * time.Second}
	resp, err := client.Post("http://"+a.addr+"/topics/attacked", "application/vnd.kafka.json.v2+json",
		strings.NewReader(`{"records":[`+strings.Repeat(record+",", 19)+record+`]}`))
	if err != nil {
		panic(err)
	}
	resp.Body.Close()
	a.statuses = append(a.statuses, fmt.Sprintf("produced with %d", resp.StatusCode))
	a.each(2000, done, func(c net.Conn) error {
		if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			return err
		}
		if _, err := io.WriteString(c, "GET /topics/attacked/partitions/0/records?offset=0&max_bytes=1000000 HTTP/1.1\r\nHost: h\r\nAccept: application/vnd.kafka.json.v2+json\r\n\r\n"); err != nil {
			return err
		}
		one := make([]byte, 1)
		for every := time.NewTicker(time.Second); ; {
			if _, err := c.Read(one); err != nil {
				return err
			}
			select {
			case <-every.C:
			case <-done:
				return nil
			}
		}
	})
}

// sendEndless sends a head and then a gigabyte, in chunks when there is a size of each.
func sendEndless(c net.Conn, head, size string) error {
	part := []byte(size + strings.Repeat(" ", 64<<10))
	if size != "" {
		part = append(part, "\r\n"...)
	}
	if _, err := io.WriteString(c, head); err != nil {
		return err
	}
	for range (1 << 30) / (64 << 10) {
		if _, err := c.Write(part); err != nil {
			return err
		}
	}
	return drained(c)
}

// bomb is an attack by bodies of a Content-Encoding.
func bomb(encoding string, packer func(io.Writer) io.WriteCloser) attack {
	return attack{name: "64 connections send " + encoding + " that unpacks to 16 MiB of blanks", run: func(a *attacked, done <-chan struct{}) {
		var packed bytes.Buffer
		w := packer(&packed)
		_, _ = w.Write(bytes.Repeat([]byte{' '}, 16<<20)) // into memory
		_ = w.Close()
		request := strings.Replace(announcing(packed.Len()), "\r\n\r\n", "\r\nContent-Encoding: "+encoding+"\r\n\r\n", 1) + packed.String()
		a.each(64, done, func(c net.Conn) error {
			if _, err := io.WriteString(c, request); err != nil {
				return err
			}
			return drained(c)
		})
	}}
}

// numbers sends a body of as many numbers as request.max.bytes allows.
func (a *attacked) numbers(done <-chan struct{}, head, tail string) {
	body := head + strings.Repeat("1,", 8_000_000) + tail
	request := announcing(len(body)) + body
	a.each(16, done, func(c net.Conn) error {
		go io.WriteString(c, request)
		return drained(c)
	})
}
