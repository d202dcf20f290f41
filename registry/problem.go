package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"unicode"

	"github.com/bonafide-dev/bonafide/evidence"
)

// clip bounds hostile text and takes control characters out of it.
func clip(s string) string {
	cut := len(s) > maxClipped
	if cut {
		s = s[:maxClipped]
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if cut {
		s += "…"
	}
	return s
}

// statusError is an HTTP status other than 200. Of the body it repeats the
// registry's error code alone: the rest may echo what was sent.
type statusError struct {
	status int
	code   string
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("HTTP status %d", e.status)
	if e.code != "" {
		text += " (" + e.code + ")"
	}
	return text
}

func statusOf(err error) int {
	var e *statusError
	if errors.As(err, &e) {
		return e.status
	}
	return 0
}

var statusReasons = map[int]evidence.Reason{
	http.StatusUnauthorized:    evidence.RegistryUnauthorized,
	http.StatusForbidden:       evidence.RegistryUnauthorized,
	http.StatusNotFound:        evidence.ImageNotFound,
	http.StatusTooManyRequests: evidence.RegistryRateLimited,
}

// statusProblem classifies an answer other than 200.
func statusProblem(a answer) *evidence.Problem {
	reason, known := statusReasons[a.status]
	switch {
	case known:
	case a.status >= http.StatusInternalServerError:
		reason = evidence.RegistryUnavailable
	default:
		reason = evidence.RegistryProtocol
	}
	return &evidence.Problem{Reason: reason, Err: &statusError{status: a.status, code: errorCode(a.body)}}
}

// errorCode reads the first code of an error body (distribution-spec, "Error
// Codes"). Only words of capitals are repeated, which no token is.
func errorCode(body []byte) string {
	var doc struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if err := evidence.DecodeJSON(body, &doc); err != nil || len(doc.Errors) == 0 {
		return ""
	}
	code := doc.Errors[0].Code
	if len(code) > 40 || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return ""
	}
	return code
}

// phase records how far a request got. The transport may report from other
// goroutines.
type phase struct {
	connected atomic.Bool
	tlsFailed atomic.Bool
}

// contextProblem is for a caller that stopped waiting.
func contextProblem(err error) *evidence.Problem {
	if errors.Is(err, context.DeadlineExceeded) {
		return &evidence.Problem{Reason: evidence.DeadlineExceeded, Err: context.DeadlineExceeded}
	}
	return &evidence.Problem{Reason: evidence.Cancelled, Err: context.Canceled}
}

// transportProblem classifies why a request brought no answer. ctx is the
// caller's context, which may have ended.
func (c *Client) transportProblem(ctx context.Context, err error, p *phase, limit int64) *evidence.Problem {
	var refused *refusal
	var problem *evidence.Problem
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &refused):
		return &evidence.Problem{Reason: evidence.RegistryRefused, Err: refused}
	case errors.Is(err, errTooLarge):
		return &evidence.Problem{Reason: evidence.LimitExceeded, Expected: fmt.Sprintf("at most %d bytes", limit), Got: "more"}
	case ctx.Err() != nil:
		return contextProblem(ctx.Err())
	case errors.Is(err, errNoBudget):
		return &evidence.Problem{Reason: evidence.LimitExceeded, Expected: fmt.Sprintf("at most %d bytes in flight in this process", c.options.Limits.InFlightBytes), Got: "more"}
	case p.tlsFailed.Load() && !isTimeout(err):
		return &evidence.Problem{Reason: evidence.RegistryTLS, Expected: "a verified TLS connection", Err: safeCause(err)}
	case isTimeout(err):
		return &evidence.Problem{Reason: evidence.RegistryTimeout, Expected: fmt.Sprintf("a connection within %s and an answer within %s", c.options.ConnectTimeout, c.options.RequestTimeout), Got: "none"}
	case !p.connected.Load(), isLost(err):
		return &evidence.Problem{Reason: evidence.RegistryUnreachable, Expected: "a connection", Err: safeCause(err)}
	}
	return &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: "an HTTP answer", Got: "something else"}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// isLost reports whether an established connection broke.
func isLost(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, net.ErrClosed)
}

// safeCause returns the part of a transport's error that can be shown. The
// rest of its text may quote what the server sent, and that what we sent.
func safeCause(err error) error {
	var lookup *net.DNSError
	var errno syscall.Errno
	var record tls.RecordHeaderError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &lookup):
		return &clipped{text: clip("look up " + lookup.Name + ": " + lookup.Err), err: lookup}
	case errors.As(err, &record):
		return &clipped{text: "the server does not speak TLS", err: record}
	case errors.As(err, &certificate):
		return &clipped{text: clip(certificate.Error())}
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return nil
}

// clipped is an error whose text can be shown.
type clipped struct {
	text string
	err  error // for errors.As alone
}

func (c *clipped) Error() string { return c.text }

func (c *clipped) Unwrap() error { return c.err }
