package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// warmRequests is how many warm answers of a door are measured; the median is
// printed.
const warmRequests = 200

// aDoor is a path, what is posted to it about an image, and what an answer to a
// signed image holds.
type aDoor struct {
	path, kind string
	body       func(ref string) any
	holds      string
}

func allDoors() []aDoor {
	keys := func(ref string) any {
		return map[string]any{"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": map[string]any{"keys": []string{ref}}}
	}
	images := func(ref string) any {
		host, rest, _ := strings.Cut(ref, "/")
		path, tag, _ := strings.Cut(rest, ":")
		return map[string]any{"trustPolicy": "tp", "images": map[string]any{"containers": map[string]any{"app": map[string]string{
			"registry": host, "path": path, "name": "app", "tag": tag, "jsonPointer": "/spec/containers/0/image",
		}}}}
	}
	admission := func(ref string) any {
		raw, err := review(ref)
		if err != nil {
			return err
		}
		return json.RawMessage(raw)
	}
	return []aDoor{
		{"/admission/mutate", "cosign by tag", admission, `"allowed":true`},
		{"/ratify/gatekeeper/v1/verify", "notation", keys, `"isSuccess":true`},
		{"/ratify/gatekeeper/v1/mutate", "notation", keys, "@sha256:"},
		{"/validate", "cosign by tag", keys, "_valid"},
		{"/checkimages", "notation", images, "@sha256:"},
	}
}

// doors measures each door, over TLS and one connection: the first question
// about an image, and the same again.
func doors(ctx context.Context) error {
	fmt.Printf("one question about a tag at each door, over TLS; the registry answers each request after %s; doors that cannot pin resolve the tag each time\n", latency)
	fmt.Printf("%-30s %14s %12s %14s %12s\n", "", "cold requests", "cold ms", "warm, for each", "warm ms")
	for _, d := range allDoors() {
		if err := d.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", d.path, err)
		}
	}
	return nil
}

func (d aDoor) measure(ctx context.Context) error {
	w, err := newWorld(fixture.Options{Referrers: true, Latency: latency})
	if err != nil {
		return err
	}
	defer w.registry.Close()
	var cold, warm []time.Duration
	var requests, again int
	for i := range rounds {
		ref, err := w.image(ctx, d.kind, fmt.Sprintf("acme/app:%d", i))
		if err != nil {
			return err
		}
		s, err := w.serve()
		if err != nil {
			return err
		}
		if err := shakeHands(ctx, s); err != nil {
			return err
		}
		w.registry.Reset()
		took, err := d.ask(ctx, s, ref)
		if err != nil {
			return err
		}
		cold, requests = append(cold, took), len(w.registry.Requests())
		w.registry.Reset()
		for range warmRequests {
			if took, err = d.ask(ctx, s, ref); err != nil {
				return err
			}
			warm = append(warm, took)
		}
		again = len(w.registry.Requests())
		s.Close()
	}
	fmt.Printf("%-30s %14d %12s %14d %12s\n", d.path, requests, ms(median(cold)), again/warmRequests, ms(median(warm)))
	return nil
}

// shakeHands opens the connection, whose cost is not the door's.
func shakeHands(ctx context.Context, s *httptest.Server) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return err
	}
	response, err := s.Client().Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// serve returns a new server over a new engine: cold, but for its connection.
func (w *world) serve() (*httptest.Server, error) {
	e, err := w.engine(nil)
	if err != nil {
		return nil, err
	}
	certificate, _, err := server.SelfSigned([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		return nil, err
	}
	s, err := server.New(server.Options{
		Decider:        e,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		CheckImages:    server.CheckImagesOptions{TrustPolicies: func(name string) bool { return name == "tp" }},
		Ready:          func() error { return nil },
		Now:            time.Now,
	})
	if err != nil {
		return nil, err
	}
	h := httptest.NewUnstartedServer(s.Doors())
	h.EnableHTTP2 = true
	h.StartTLS()
	return h, nil
}

func (d aDoor) ask(ctx context.Context, s *httptest.Server, ref string) (time.Duration, error) {
	body, err := json.Marshal(d.body(ref))
	if err != nil {
		return 0, err
	}
	began := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+d.path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.Client().Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	took := time.Since(began)
	if !bytes.Contains(answer, []byte(d.holds)) {
		return 0, fmt.Errorf("expected an answer with %q, got %s: %s", d.holds, response.Status, answer)
	}
	return took, nil
}
