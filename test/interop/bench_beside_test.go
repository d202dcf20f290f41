//go:build interop

package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// The tests whose names begin with TestBeside give bonafide and the program
// that it replaces the same work in turns, and print what each took. They hold
// every answer to what it must be, and nobody to a time.
var rounds = flag.Int("rounds", 3, "how often the tests beside others do each work")

const (
	// besideLatency is what the registry takes to answer each request.
	besideLatency = 20 * time.Millisecond
	// besideTimeout is what both programs are given for an answer: enough that
	// a loaded machine changes the figures, and not the answers.
	besideTimeout = 30 * time.Second
	// warmRounds is how often work that asks no registry is done each round.
	warmRounds = 10
	// crowd is how many ask at once in a burst.
	crowd = 50
)

// A contender is one of the two programs.
type contender struct {
	name   string
	url    string
	client *http.Client
}

// newContender trusts ca for the program at url. It keeps connections open, as
// the API server and Gatekeeper do.
func newContender(t *testing.T, name, url string, ca []byte) contender {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatalf("%s: want a CA in PEM, got %q", name, ca)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: crowd,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return contender{name, url, &http.Client{Transport: transport, Timeout: 2 * besideTimeout}}
}

func (c contender) post(ctx context.Context, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(io.LimitReader(response.Body, maxBody))
}

// Work is what is asked at once, and what is right for an answer.
type work struct {
	bodies [][]byte
	right  func(answer []byte) error
}

// do posts all of w at once and returns how long it took until the last answer.
func (c contender) do(t *testing.T, w work) time.Duration {
	t.Helper()
	answers, errs := make([][]byte, len(w.bodies)), make([]error, len(w.bodies))
	var asking sync.WaitGroup
	began := time.Now()
	for i, body := range w.bodies {
		asking.Go(func() { answers[i], errs[i] = c.post(t.Context(), body) })
	}
	asking.Wait()
	took := time.Since(began)
	for i, answer := range answers {
		if errs[i] == nil {
			errs[i] = w.right(answer)
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	return took
}

// A comparison measures the two, the other first.
type comparison struct {
	store *fixture.Registry
	pair  [2]contender
	rows  []row
}

// A row is one kind of work and what it took each of the two.
type row struct {
	name    string
	samples [2][]sample
}

// A sample is one measurement.
type sample struct {
	took     time.Duration
	requests int // that the registry was asked
}

// measure has both do some work n times, in turns, since a machine's speed
// drifts. What prepare does is not measured.
func (c *comparison) measure(t *testing.T, name string, n int, prepare func(contender) work) {
	t.Helper()
	if n < 1 {
		t.Fatalf("-rounds: want at least 1, got %d", *rounds)
	}
	r := row{name: name}
	for i := range n {
		for turn := range c.pair {
			who := (i + turn) % len(c.pair) // neither is always first
			w := prepare(c.pair[who])
			c.store.Reset()
			took := c.pair[who].do(t, w)
			r.samples[who] = append(r.samples[who], sample{took, len(c.store.Requests())})
		}
	}
	c.rows = append(c.rows, r)
}

// again is work that was just done, for [comparison.measure].
func again(t *testing.T, w work) func(contender) work {
	return func(c contender) work {
		c.do(t, w)
		return w
	}
}

// print writes the table to standard output, under what was measured and what
// to know of tags.
func (c *comparison) print(what, tags string) {
	var b strings.Builder
	theirs, ours := c.pair[0].name, c.pair[1].name
	fmt.Fprintf(&b, "\n%s\n", what)
	fmt.Fprintf(&b, "Medians of %d rounds, in turns; each registry request takes %s; ratio: theirs by ours. %s\n\n", *rounds, besideLatency, tags)
	fmt.Fprintf(&b, "%-26s|%28s |%30s\n", "", "registry requests", "milliseconds")
	fmt.Fprintf(&b, "%-26s|%10s %10s %6s |%10s %11s %7s\n", "", theirs, ours, "ratio", theirs, ours, "ratio")
	for _, r := range c.rows {
		requests, millis := [2]float64{}, [2]float64{}
		for who, samples := range r.samples {
			requests[who] = median(samples, func(s sample) float64 { return float64(s.requests) })
			millis[who] = median(samples, func(s sample) float64 { return float64(s.took.Microseconds()) / 1000 })
		}
		fmt.Fprintf(&b, "%-26s|%10.0f %10.0f %6s |%10.2f %11.2f %7s\n", r.name, requests[0], requests[1], ratio(requests), millis[0], millis[1], ratio(millis))
	}
	fmt.Println(b.String())
}

func median(samples []sample, of func(sample) float64) float64 {
	var all []float64
	for _, s := range samples {
		all = append(all, of(s))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// ratio is of theirs to ours; to nothing there is none.
func ratio(pair [2]float64) string {
	if pair[1] == 0 {
		return "-"
	}
	if pair[0] < pair[1] {
		return fmt.Sprintf("%.2f", pair[0]/pair[1])
	}
	return fmt.Sprintf("%.1f", pair[0]/pair[1])
}

// versionOf is the version of the module that a program of the rig's is built
// from.
func versionOf(t *testing.T, program, module string) string {
	t.Helper()
	file, err := rig.Binary(t.Context(), program)
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range append(info.Deps, &info.Main) {
		if part.Path == module {
			return part.Version
		}
	}
	t.Fatalf("%s: want a build of %s, got one of %s", program, module, info.Path)
	return ""
}

// slowRegistry is a registry as far away as most are.
func slowRegistry(t *testing.T) *fixture.Registry {
	t.Helper()
	return rig.NewStore(t, fixture.Options{Referrers: true, Latency: besideLatency})
}

// A stock pushes images that nobody has asked for yet.
type stock struct {
	store *fixture.Registry
	key   fixture.Key
	made  int
}

func (s *stock) signed(t *testing.T) fixture.Image {
	t.Helper()
	return s.push(t, s.key)
}

func (s *stock) unsigned(t *testing.T) fixture.Image {
	t.Helper()
	return s.push(t)
}

func (s *stock) push(t *testing.T, keys ...fixture.Key) fixture.Image {
	t.Helper()
	s.made++
	return rig.Push(t, s.store, fmt.Sprintf("acme/app-%d:v1", s.made), keys...)
}
