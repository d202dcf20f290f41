package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// The two handlers are measured in turn, since a machine's speed drifts: turns
// of a window each, the median turn is printed.
const (
	window = time.Second
	turns  = 5
)

// throughput measures warm admission over TLS against a bare handler.
func throughput(ctx context.Context) error {
	w, err := newWorld(fixture.Options{Referrers: true, Latency: latency})
	if err != nil {
		return err
	}
	defer w.registry.Close()
	ref, err := w.image(ctx, "cosign by tag", "acme/app:1")
	if err != nil {
		return err
	}
	e, err := w.engine(nil)
	if err != nil {
		return err
	}
	certificate, ca, err := server.SelfSigned([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		return err
	}
	s, err := server.New(server.Options{
		Decider:        e,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
		Ready:          func() error { return nil },
		Now:            time.Now,
	})
	if err != nil {
		return err
	}
	body, err := review(ref)
	if err != nil {
		return err
	}
	fmt.Printf("warm admission over TLS, HTTP/2, one connection, the median of %d turns of %s; bare: decodes and allows\n", turns, window)
	fmt.Printf("%-12s %12s %12s %10s %10s %10s\n", "concurrency", "bare /s", "bonafide /s", "ratio", "p50 ms", "p99 ms")
	for _, concurrency := range []int{1, 8, 32} {
		var all []turn
		for range turns {
			bare, _, err := measure(ctx, http.HandlerFunc(decodeAndAllow), certificate, ca, body, concurrency)
			if err != nil {
				return err
			}
			ours, took, err := measure(ctx, s.Doors(), certificate, ca, body, concurrency)
			if err != nil {
				return err
			}
			all = append(all, turn{bare, ours, took})
		}
		slices.SortFunc(all, func(a, b turn) int { return cmp.Compare(a.ours/a.bare, b.ours/b.bare) })
		m := all[turns/2]
		fmt.Printf("%-12d %12.0f %12.0f %9.0f%% %10s %10s\n", concurrency, m.bare, m.ours, 100*m.ours/m.bare, ms(percentile(m.took, 50)), ms(percentile(m.took, 99)))
	}
	return nil
}

// turn is one measurement of both handlers, in requests a second.
type turn struct {
	bare, ours float64
	took       []time.Duration // each of ours
}

// decodeAndAllow is the least that a webhook can do.
func decodeAndAllow(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var in admissionv1.AdmissionReview
	if err := json.Unmarshal(raw, &in); err != nil || in.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	out := admissionv1.AdmissionReview{TypeMeta: in.TypeMeta, Response: &admissionv1.AdmissionResponse{UID: in.Request.UID, Allowed: true}}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(out); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func review(ref string) ([]byte, error) {
	pod := fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"app","namespace":"shop","labels":{"app":"app"}},"spec":{"containers":[{"name":"app","image":%q,"resources":{"limits":{"cpu":"1","memory":"128Mi"}},"env":[{"name":"A","value":"b"}]}],"serviceAccountName":"default"}}`, ref)
	in := admissionv1.AdmissionReview{}
	in.APIVersion, in.Kind = "admission.k8s.io/v1", "AdmissionReview"
	in.Request = &admissionv1.AdmissionRequest{UID: "b0a7f1de-0000-4000-8000-000000000001", Namespace: "shop", Name: "app", Operation: admissionv1.Create}
	in.Request.Kind.Version, in.Request.Kind.Kind = "v1", "Pod"
	in.Request.Resource.Version, in.Request.Resource.Resource = "v1", "pods"
	in.Request.Object.Raw = []byte(pod)
	return json.Marshal(in)
}

// measure serves handler over TLS and asks it from several goroutines for a
// while; it returns requests a second and each one's latency.
func measure(ctx context.Context, handler http.Handler, certificate tls.Certificate, ca, body []byte, concurrency int) (float64, []time.Duration, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, nil, err
	}
	serving := &http.Server{Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}, ReadHeaderTimeout: time.Minute}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = serving.ServeTLS(listener, "", "") // a server that does not serve shows in the first request
	}()
	defer func() {
		serving.Close()
		<-ended
	}()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	url := "https://" + listener.Addr().String() + "/admission/mutate?timeout=10s"
	for range 50 { // warm up: connection, caches, and the tag's resolve
		if err := post(ctx, client, url, body); err != nil {
			return 0, nil, err
		}
	}
	var running sync.WaitGroup
	var failed atomic.Pointer[error]
	each := make([][]time.Duration, concurrency)
	began := time.Now()
	for i := range concurrency {
		running.Go(func() {
			for time.Since(began) < window {
				start := time.Now()
				if err := post(ctx, client, url, body); err != nil {
					failed.Store(&err)
					return
				}
				each[i] = append(each[i], time.Since(start))
			}
		})
	}
	running.Wait()
	took := time.Since(began)
	if err := failed.Load(); err != nil {
		return 0, nil, *err
	}
	var all []time.Duration
	for _, e := range each {
		all = append(all, e...)
	}
	return float64(len(all)) / took.Seconds(), all, nil
}

func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"allowed":true`)) {
		return fmt.Errorf("expected an allowed review, got %s: %s", response.Status, answer)
	}
	return nil
}
