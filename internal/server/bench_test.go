package server_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/bonafide-dev/bonafide/internal/server"
)

// BenchmarkAdmission compares a warm admission over TLS and HTTP/2 with the
// least that any webhook does: decode the review and allow. Ratio takes turns
// between the two, so that a busy machine slows both, and prints how much of
// the bare handler's throughput is left.
func BenchmarkAdmission(b *testing.B) {
	body := recorded(b, "pod-create")
	bare := httptest.NewUnstartedServer(http.HandlerFunc(decodeAndAllow))
	bare.EnableHTTP2 = true
	bare.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	bare.StartTLS()
	defer bare.Close()
	r := start(b, each(allow))
	least, warm := caller{bare.Client(), bare.URL, body}, caller{r.client, r.doors + validateDoor + "?timeout=10s", body}
	b.Run("Bare", least.measure)
	b.Run("Warm", warm.measure)
	b.Run("Ratio", func(b *testing.B) { ratio(b, least, warm) })
	b.Run("HandlerLogging", func(b *testing.B) {
		logged := func(o *server.Options) { o.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil)) }
		h := newServer(b, each(allow), logged).Doors()
		b.ReportAllocs()
		for b.Loop() {
			if w := post(h, validateDoor+"?timeout=10s", body); w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	})
	b.Run("HandlerOnly", func(b *testing.B) {
		h := newServer(b, each(allow)).Doors()
		b.ReportAllocs()
		for b.Loop() {
			if w := post(h, validateDoor+"?timeout=10s", body); w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	})
}

// ratio reports how much of the first caller's throughput the second has.
func ratio(b *testing.B, first, second caller) {
	var took [2]time.Duration
	for b.Loop() {
		for i, c := range []caller{first, second, second, first} {
			began := time.Now()
			c.burst(b, 16, 16)
			took[min(i, 3-i)] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[0])/float64(took[1]), "of-bare")
}

func decodeAndAllow(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var review admissionv1.AdmissionReview
	if err != nil || json.Unmarshal(raw, &review) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	if json.NewEncoder(w).Encode(review) != nil {
		panic(http.ErrAbortHandler)
	}
}

type caller struct {
	client *http.Client
	url    string
	body   []byte
}

func (c caller) call(b *testing.B) {
	response, err := c.client.Post(c.url, "application/json", bytes.NewReader(c.body))
	if err != nil {
		b.Error(err)
		return
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		b.Error(response.StatusCode, err)
	}
}

// burst calls from several goroutines, each a number of times.
func (c caller) burst(b *testing.B, callers, times int) {
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range times {
				c.call(b)
			}
		})
	}
	all.Wait()
}

func (c caller) measure(b *testing.B) {
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.call(b)
		}
	})
}

// BenchmarkProvider asks about a Pod's three images as Gatekeeper does. Bare is
// a provider that decodes and answers; Warm has a decider that answers at once;
// Cold makes a connection for each request, as old Gatekeepers do.
func BenchmarkProvider(b *testing.B) {
	body := keys(b, "ghcr.io/acme/app:allowed", "ghcr.io/acme/init:allowed", "ghcr.io/acme/debug:denied")
	bare := httptest.NewUnstartedServer(http.HandlerFunc(decodeAndEcho))
	bare.EnableHTTP2 = true
	bare.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	bare.StartTLS()
	defer bare.Close()
	r := start(b, each(byTag))
	cold := r.dial(b)
	cold.Transport.(*http.Transport).DisableKeepAlives = true
	least, warm := caller{bare.Client(), bare.URL, body}, caller{r.client, r.doors + ratifyV1, body}
	b.Run("Bare", least.measure)
	b.Run("Warm", warm.measure)
	b.Run("Cold", caller{cold, r.doors + ratifyV1, body}.measure)
	b.Run("Ratio", func(b *testing.B) { ratio(b, least, warm) })
	b.Run("HandlerOnly", func(b *testing.B) {
		h := newServer(b, each(byTag)).Doors()
		b.ReportAllocs()
		for b.Loop() {
			if w := post(h, ratifyV1, body); w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	})
}

func decodeAndEcho(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var request struct {
		Request struct {
			Keys []string `json:"keys"`
		} `json:"request"`
	}
	if err != nil || json.Unmarshal(raw, &request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var answer providerAnswer
	for _, key := range request.Request.Keys {
		answer.Response.Items = append(answer.Response.Items, item{Key: key, Value: map[string]bool{"isSuccess": false}})
	}
	w.Header().Set("Content-Type", "application/json")
	if json.NewEncoder(w).Encode(answer) != nil {
		panic(http.ErrAbortHandler)
	}
}
