package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"
)

// files reads the files of a mirror, each within a bound. The context bounds the
// time of all.
type files struct {
	ctx       context.Context
	base      *url.URL
	transport http.RoundTripper
}

// errNoFile is what a mirror says of a file that it does not have.
var errNoFile = errors.New("expected a file, got none")

// get reads a file of at most limit bytes. Redirects are answers like others: a
// mirror is where the policy says (TRUST R8).
func (f files) get(name string, limit int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(f.ctx, http.MethodGet, f.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity") // nothing is decompressed (TRUST R1)
	req.Header.Set("User-Agent", "bonafide")
	resp, err := f.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound, resp.StatusCode == http.StatusForbidden: // stores that list nothing say forbidden
		return nil, errNoFile
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("expected HTTP status 200, got %d", resp.StatusCode)
	case resp.Header.Get("Content-Encoding") != "" || resp.Uncompressed:
		return nil, errors.New("expected a file as it is, got it compressed")
	}
	var content bytes.Buffer
	n, err := content.ReadFrom(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("expected at most %d bytes, got more", limit)
	}
	return content.Bytes(), nil
}

// maxWords bounds what of an error is repeated.
const maxWords = 300

// explain bounds the words of what came from outside, and leaves out what
// differs each time without telling anything: local ports.
func explain(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	var connection *net.OpError
	if errors.As(err, &connection) && connection.Err != nil {
		text = strings.Replace(text, connection.Error(), connection.Op+": "+connection.Err.Error(), 1)
	}
	return &explained{text: clip(text), err: err}
}

func clip(text string) string {
	cut := len(text) > maxWords
	if cut {
		text = text[:maxWords]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if cut {
		text += "…"
	}
	return text
}

// explained is an error with words that can be shown.
type explained struct {
	text string
	err  error
}

func (e *explained) Error() string { return e.text }

func (e *explained) Unwrap() error { return e.err }
