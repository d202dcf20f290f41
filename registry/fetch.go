package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// query asks a registry for one thing with one credential.
type query struct {
	kind       Kind
	repository imageref.Repository
	credential Credential
	url        *url.URL
	accept     []string
	limit      int64
}

// where names the request in messages.
func (q query) where() string { return "GET " + q.repository.Host() + q.url.Path }

// get asks, and asks again as far as retrying can help. An answer has status
// 200; the error is a *evidence.Problem.
func (c *Client) get(ctx context.Context, q query) (answer, error) {
	for attempt := 1; ; attempt++ {
		a, err := c.authorized(ctx, q)
		if err == nil && a.status == http.StatusOK {
			return a, nil
		}
		if err == nil {
			err = statusProblem(a)
		}
		problem := c.locate(q, err)
		wait, again := c.retry(problem, a, attempt)
		if !again || !c.affords(ctx, wait) {
			return answer{}, problem
		}
		if err := c.options.Sleep(ctx, wait); err != nil {
			return answer{}, c.locate(q, contextProblem(err))
		}
	}
}

// locate says which request a problem is about.
func (c *Client) locate(q query, err error) *evidence.Problem {
	p := *evidence.ProblemOf(err)
	p.Host = q.repository.Host()
	if p.Path == "" {
		p.Path = q.where()
	}
	return &p
}

// retry says whether and after how long the same request may succeed: on 429,
// on 5xx, and when the connection was lost.
func (c *Client) retry(p *evidence.Problem, a answer, attempt int) (wait time.Duration, again bool) {
	if attempt >= c.options.Attempts {
		return 0, false
	}
	switch {
	case p.Reason == evidence.RegistryRateLimited, p.Reason == evidence.RegistryUnavailable:
	case p.Reason == evidence.RegistryUnreachable && isLost(p.Err):
	default:
		return 0, false
	}
	wait = c.options.Backoff << (attempt - 1)
	if asked, told := retryAfter(a.header, c.options.Clock()); told {
		if asked > maxRetryAfter {
			return 0, false
		}
		wait = max(wait, asked)
	}
	return wait, true
}

// retryAfter reads the header: seconds or a date (RFC 9110 §10.2.3).
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	value := h.Get("Retry-After")
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// affords reports whether the caller's deadline leaves time to wait.
func (c *Client) affords(ctx context.Context, wait time.Duration) bool {
	deadline, bounded := ctx.Deadline()
	return ctx.Err() == nil && (!bounded || c.options.Clock().Add(wait).Before(deadline))
}

// follow sends a query and follows its redirects. The authorization goes to
// the registry alone; once the chain has left it, it stays off.
func (c *Client) follow(ctx context.Context, q query, authorization string) (answer, error) {
	target, left := q.url, false
	for range maxRedirects + 1 {
		h := hop{kind: q.kind, reach: c.reachOf(q.kind, q.url, target), method: http.MethodGet, url: target, header: http.Header{}, limit: q.limit}
		if len(q.accept) > 0 {
			h.header["Accept"] = q.accept
		}
		if authorization != "" && !left {
			h.header.Set("Authorization", authorization)
		}
		a, err := c.send(ctx, h)
		a.left = left
		if err != nil || !isRedirect(a.status) {
			return a, atHop(err, target, left)
		}
		next, err := redirectTarget(a)
		if err != nil {
			return answer{}, err
		}
		left = left || !sameOrigin(a.url, next)
		target = next
	}
	return answer{}, &evidence.Problem{Reason: evidence.RegistryRefused, Expected: fmt.Sprintf("at most %d redirects", maxRedirects), Got: "more"}
}

// atHop names the host where a redirected request failed. Its path may hold a
// secret of the storage behind the registry, and is left out.
func atHop(err error, u *url.URL, left bool) error {
	var p *evidence.Problem
	if !left || !errors.As(err, &p) {
		return err
	}
	q := *p
	q.Path = "redirect to " + clip(hostKey(u))
	return &q
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func redirectTarget(a answer) (*url.URL, error) {
	location := a.header.Get("Location")
	if location == "" || len(location) > maxLocation {
		return nil, &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: fmt.Sprintf("a Location of 1 to %d bytes", maxLocation), Got: strconv.Itoa(len(location))}
	}
	next, err := a.url.Parse(location)
	if err != nil {
		return nil, &evidence.Problem{Reason: evidence.RegistryProtocol, Expected: "a URL in Location", Got: "something else"}
	}
	next.Fragment = ""
	return next, nil
}
