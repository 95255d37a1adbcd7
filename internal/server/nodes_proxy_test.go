package server_test

import (
	"bytes"
	bigendian "encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a node and PostgreSQL and does to their conversation what
// networks do. It knows as much of the protocol as it takes to see a COMMIT go by.
type proxy struct {
	target string
	l      net.Listener
	done   sync.WaitGroup

	mu    sync.Mutex // guards what follows
	conns map[*link]bool
	mode  mode
	delay time.Duration
	// atCommit and atAnswer, if not nil, are called once: before a COMMIT, and
	// what came with it, is handed to the server, and before its answer is handed
	// to the node. What they return is done to it and all that follow; what is in
	// front of it is delivered.
	atCommit, atAnswer func() fate
}

// mode is what becomes of all bytes.
type mode int

const (
	pass    mode = iota
	swallow      // they are taken and go nowhere
	refuse       // as swallow, and new connections are closed at once
)

// fate is what becomes of a message.
type fate int

const (
	deliver fate = iota
	cut          // the connection ends instead
	lose         // the message and all that follow go nowhere; the connection stays
)

// link is one proxied connection.
type link struct {
	node, server net.Conn
	lost         bool // guarded by proxy.mu
}

func (l *link) close() { l.node.Close(); l.server.Close() }

// newProxy starts a proxy to an address.
func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, l: l, conns: map[*link]bool{}}
	p.done.Go(p.accept)
	t.Cleanup(func() {
		l.Close()
		p.cutAll()
		p.done.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refused := p.mode == refuse
		p.mu.Unlock()
		if refused {
			c.Close()
			continue
		}
		s, err := net.Dial("tcp", p.target)
		if err != nil {
			c.Close()
			continue
		}
		k := &link{node: c, server: s}
		p.mu.Lock()
		p.conns[k] = true
		p.mu.Unlock()
		var both sync.WaitGroup
		both.Go(func() { p.copy(k, k.node, k.server, &commits{}, &p.atCommit); k.close() })
		both.Go(func() { p.copy(k, k.server, k.node, &answers{}, &p.atAnswer); k.close() })
		p.done.Go(func() {
			both.Wait()
			p.mu.Lock()
			delete(p.conns, k)
			p.mu.Unlock()
		})
	}
}

// spotter looks at bytes that go by, and says how many of them go before the
// message that is looked for, -1 if it is not in them.
type spotter interface{ spot(b []byte) int }

// copy hands bytes on until the connection ends or what it holds is lost.
func (p *proxy) copy(k *link, from, to net.Conn, s spotter, at *func() fate) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		b := buf[:n]
		i := s.spot(b)
		p.mu.Lock()
		delay, hook := p.delay, *at
		if i >= 0 {
			*at = nil
		}
		p.mu.Unlock()
		time.Sleep(delay)
		if i >= 0 && hook != nil {
			f := hook()
			if !p.write(k, to, b[:i]) {
				return
			}
			b = b[i:]
			switch f {
			case cut:
				return
			case lose:
				p.mu.Lock()
				k.lost = true
				p.mu.Unlock()
			}
		}
		if !p.write(k, to, b) {
			return
		}
	}
}

func (p *proxy) write(k *link, to io.Writer, b []byte) bool {
	p.mu.Lock()
	if p.mode != pass {
		k.lost = true // what a stream has lost does not come back
	}
	lost := k.lost
	p.mu.Unlock()
	if lost {
		return true
	}
	_, err := to.Write(b)
	return err == nil
}

// set changes what becomes of all bytes.
func (p *proxy) set(m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = m
}

// slow delays everything, each way.
func (p *proxy) slow(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// on says what becomes of the next COMMIT, or of the answer to it.
func (p *proxy) on(atCommit, atAnswer func() fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.atCommit, p.atAnswer = atCommit, atAnswer
}

// cutAll ends every connection.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k := range p.conns {
		k.close()
	}
}

// commits spots a COMMIT that a node sends: a Bind of the statement that it was
// prepared as. The text goes by once, in a Parse.
type commits struct {
	typed bool   // the start-up message, which has no type, has gone by
	rest  []byte // the beginning of a message that has not come as a whole
	names [][]byte
}

func (c *commits) spot(b []byte) int {
	at := -1
	begin := -len(c.rest) // of the current message, in b
	data := append(c.rest, b...)
	for {
		head := 5
		if !c.typed {
			head = 4
		}
		if len(data) < head {
			break
		}
		size := int(bigendian.BigEndian.Uint32(data[head-4:])) + head - 4
		if len(data) < size {
			break
		}
		if c.typed {
			body := data[head:size]
			switch data[0] {
			case 'P':
				if f := bytes.SplitN(body, []byte{0}, 3); len(f) == 3 && string(f[1]) == "COMMIT" {
					c.names = append(c.names, bytes.Clone(f[0]))
				}
			case 'B':
				f := bytes.SplitN(body, []byte{0}, 3)
				for _, name := range c.names {
					if at < 0 && len(f) == 3 && bytes.Equal(f[1], name) {
						at = max(begin, 0)
					}
				}
			}
		}
		c.typed = true
		data, begin = data[size:], begin+size
	}
	c.rest = bytes.Clone(data)
	return at
}

// answers spots the answer to a COMMIT.
type answers struct{ rest []byte }

var committed = []byte("C\x00\x00\x00\x0bCOMMIT\x00")

func (a *answers) spot(b []byte) int {
	data := append(a.rest, b...)
	i := bytes.Index(data, committed)
	if i >= 0 {
		i = max(i-len(a.rest), 0)
	}
	a.rest = bytes.Clone(data[max(len(data)-len(committed)+1, 0):])
	return i
}
