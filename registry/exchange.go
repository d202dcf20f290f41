package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
)

// hop is one HTTP request to one place.
type hop struct {
	kind   Kind
	reach  reach
	method string
	url    *url.URL
	header http.Header
	body   string
	limit  int64 // of the answer's body if its status is 200
}

// answer is a response whose body was read whole.
type answer struct {
	url    *url.URL // that answered; its scheme may differ from what was asked
	left   bool     // by a redirect that left the registry
	status int
	header http.Header
	body   []byte
}

// send makes one request, over TLS or, where the reach allows and the host
// speaks nothing else, in plain HTTP.
func (c *Client) send(ctx context.Context, h hop) (answer, error) {
	g := c.gateOf(h.url)
	now := c.options.Clock()
	if h.url.Scheme == "https" && h.reach.plain {
		if g.speaksPlain(now) {
			return c.exchange(ctx, g, plainly(h))
		}
		a, err := c.exchange(ctx, g, h)
		if spokePlain(err) {
			g.setPlain(now.Add(plainLife))
			return c.exchange(ctx, g, plainly(h))
		}
		return a, err
	}
	return c.exchange(ctx, g, h)
}

func plainly(h hop) hop {
	u := *h.url
	u.Scheme = "http"
	h.url = &u
	return h
}

// spokePlain reports whether a TLS handshake was answered in plain HTTP.
func spokePlain(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/"
}

func (c *Client) gateOf(u *url.URL) *gate {
	return c.gates.getOrPut(hostKey(u), func() *gate { return newGate(c.options.PerHost) })
}

// exchange makes one request and reads its answer, within the host's slots,
// circuit breaker and time. The error is a *evidence.Problem.
func (c *Client) exchange(ctx context.Context, g *gate, h hop) (answer, error) {
	if err := c.checkURL(h.url, h.reach); err != nil {
		return answer{}, c.transportProblem(ctx, err, &phase{}, h.limit)
	}
	leave, err := g.enter(ctx, &c.options)
	if err != nil {
		return answer{}, c.transportProblem(ctx, err, &phase{}, h.limit)
	}
	start := c.options.Clock()
	p := &phase{}
	a, err := c.roundTrip(ctx, h, p)
	took := c.options.Clock().Sub(start)
	info := RequestInfo{Host: hostKey(h.url), Method: h.method, Kind: h.kind, Status: a.status, Bytes: len(a.body), Duration: took}
	verdict := hostAnswered
	if err != nil {
		problem := c.transportProblem(ctx, err, p, h.limit)
		if !h.reach.plain || !spokePlain(err) { // else it answered, and send asks it again as it speaks
			verdict = blame(problem.Reason, took >= c.options.Slow)
		}
		info.Reason, err = problem.Reason, problem
	}
	leave(verdict, blamed(info.Reason))
	if c.options.Observer != nil {
		c.options.Observer.Request(info)
	}
	return a, err
}

// blame says whether a failure counts against the host. A caller's deadline
// does only if the host had time enough.
func blame(r evidence.Reason, slow bool) result {
	switch r {
	case evidence.RegistryUnreachable, evidence.RegistryTLS, evidence.RegistryTimeout:
		return hostFailed
	case evidence.DeadlineExceeded:
		if slow {
			return hostFailed
		}
	case evidence.RegistryProtocol:
		return hostAnswered
	default: // refused by us, or given up by the caller
	}
	return noVerdict
}

// blamed is the reason that the next caller is told while the host is left
// alone: one caller's deadline is not another's.
func blamed(r evidence.Reason) evidence.Reason {
	if r == evidence.DeadlineExceeded {
		return evidence.RegistryTimeout
	}
	return r
}

func (c *Client) roundTrip(ctx context.Context, h hop, p *phase) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.RequestTimeout)
	defer cancel()
	trace := &httptrace.ClientTrace{
		GotConn:          func(httptrace.GotConnInfo) { p.connected.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { p.tlsFailed.Store(err != nil) },
	}
	var body io.Reader
	if h.body != "" {
		body = strings.NewReader(h.body)
	}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), h.method, h.url.String(), body)
	if err != nil {
		return answer{}, &refusal{expected: "a valid URL", got: "another at " + clip(h.url.Host)}
	}
	for name, values := range h.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", c.options.UserAgent)
	resp, err := c.transports.roundTrip(req, h.reach)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{url: h.url, status: resp.StatusCode, header: resp.Header}
	if resp.StatusCode != http.StatusOK {
		// A refusal's body may be cut, missing or garbled: its status counts.
		a.body, _ = c.bodies.read(ctx, io.LimitReader(resp.Body, maxErrorBody), -1, maxErrorBody)
		return a, nil
	}
	a.body, err = c.bodies.read(ctx, resp.Body, resp.ContentLength, h.limit)
	if err != nil {
		return answer{}, err
	}
	// Our giving up makes some servers end a body properly: it looks whole.
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	return a, nil
}
