package registry_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

// imageHandler serves an image, its cosign tag and the payload.
func imageHandler(image, signature, payload []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/acme/app/manifests/1", strings.HasSuffix(r.URL.Path, "/manifests/"+imageref.DigestOf(image).String()):
			serve(imageType, image)(w, r)
		case strings.HasSuffix(r.URL.Path, ".sig"):
			serve(imageType, signature)(w, r)
		case strings.HasSuffix(r.URL.Path, "/blobs/"+imageref.DigestOf(payload).String()):
			serve("application/octet-stream", payload)(w, r)
		default:
			w.WriteHeader(404)
		}
	}
}

func TestColdPathIsOneGetPerObjectOnOneConnection(t *testing.T) {
	image, signature, payload := manifestJSON("image"), manifestJSON("signature"), []byte("payload")
	f := startTLS(t, imageHandler(image, signature, payload))
	ref := f.ref(t, "acme/app:1")
	src := sourceFor(t, clientFor(t, nil, f), ref.Repository())

	m, err := src.Manifest(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	tag := "sha256-" + m.Descriptor.Digest.Hex() + ".sig"
	sig, err := ref.Repository().WithTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.Manifest(t.Context(), sig); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Blob(t.Context(), ref.Repository(), evidence.Descriptor{Digest: imageref.DigestOf(payload), Size: int64(len(payload))}, 1<<20); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"GET /v2/acme/app/manifests/1",
		"GET /v2/acme/app/manifests/" + tag,
		"GET /v2/acme/app/blobs/" + imageref.DigestOf(payload).String(),
	}
	if diff := cmp.Diff(want, f.lines()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if f.conns() != 1 {
		t.Errorf("connections: want 1, got %d", f.conns())
	}
}

// A refusal does not cost the connection either.
func TestConnectionSurvivesNotFound(t *testing.T) {
	f := startTLS(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		w.Write([]byte(`{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`))
	})
	c := clientFor(t, nil, f)
	for range 3 {
		_, err := pull(t, c, f.ref(t, "acme/app:1"))
		p := problem(t, err, evidence.ImageNotFound)
		if !strings.Contains(p.Error(), "MANIFEST_UNKNOWN") {
			t.Errorf("error: want the registry's code, got %q", p)
		}
	}
	if f.conns() != 1 {
		t.Errorf("connections: want 1, got %d", f.conns())
	}
}

func TestHTTP2IsSpoken(t *testing.T) {
	var protocol atomic.Int32
	f := startHTTP2(t, func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(int32(r.ProtoMajor))
		serve(imageType, manifestJSON("x"))(w, r)
	})
	if _, err := pull(t, clientFor(t, nil, f), f.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err)
	}
	if protocol.Load() != 2 {
		t.Errorf("protocol: want HTTP/2, got HTTP/%d", protocol.Load())
	}
}

func TestR2HeadersAreNotBelieved(t *testing.T) {
	image := manifestJSON("image")
	f := startTLS(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Docker-Content-Digest", imageref.DigestOf([]byte("something else")).String())
		w.Header().Set("Content-Type", imageType)
		w.Write(image)
	})
	m, err := pull(t, clientFor(t, nil, f), f.ref(t, "acme/app:1"))
	if err != nil {
		t.Fatal(err)
	}
	if want := imageref.DigestOf(image); m.Descriptor.Digest != want || m.Descriptor.Size != int64(len(image)) {
		t.Errorf("descriptor: want %s of the bytes, got %s", want, m.Descriptor.Digest)
	}
}

// With tag and digest the digest is asked for: the tag may have moved.
func TestR2DigestBesideTagDecides(t *testing.T) {
	image := manifestJSON("image")
	f := startTLS(t, imageHandler(image, nil, nil))
	digest := imageref.DigestOf(image).String()
	if _, err := pull(t, clientFor(t, nil, f), f.ref(t, "acme/app:moved@"+digest)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"GET /v2/acme/app/manifests/" + digest}, f.lines()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestR36SourceServesItsOwnRepositoryAlone(t *testing.T) {
	f := startTLS(t, status(200))
	src := sourceFor(t, clientFor(t, nil, f), f.ref(t, "acme/app").Repository())
	_, err := src.Manifest(t.Context(), f.ref(t, "other/app:1"))
	wantReason(t, err, evidence.Internal)
	if n := len(f.lines()); n != 0 {
		t.Errorf("requests: want none, got %d", n)
	}
}

func TestRetries(t *testing.T) {
	image := manifestJSON("image")
	cases := map[string]struct {
		reason   string
		first    http.HandlerFunc
		deadline time.Duration
		requests int
		slept    []time.Duration
		want     evidence.Reason
	}{
		"ServerError":        {"5xx passes", status(503), time.Minute, 2, []time.Duration{100 * time.Millisecond}, ""},
		"RetryAfter":         {"the registry's wish counts", retryAfter("7"), time.Minute, 2, []time.Duration{7 * time.Second}, ""},
		"RetryAfterTooLate":  {"the caller's deadline comes first: answer at once", retryAfter("7"), 5 * time.Second, 1, nil, evidence.RegistryRateLimited},
		"RetryAfterTooLong":  {"no registry makes us wait for an hour", retryAfter("3600"), 2 * time.Hour, 1, nil, evidence.RegistryRateLimited},
		"RetryAfterNonsense": {"what does not parse is not there", retryAfter("soon"), time.Minute, 2, []time.Duration{100 * time.Millisecond}, ""},
		"LostConnection":     {"a connection that breaks", raw(""), time.Minute, 2, []time.Duration{100 * time.Millisecond}, ""},
		"NotFound":           {"a clear answer is not asked for again", status(404), time.Minute, 1, nil, evidence.ImageNotFound},
		"Unauthorized":       {"nor a refusal", status(403), time.Minute, 1, nil, evidence.RegistryUnauthorized},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int32
			f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
				if served.Add(1) == 1 {
					tc.first(w, r)
					return
				}
				serve(imageType, image)(w, r)
			})
			var slept []time.Duration
			c := clientFor(t, func(o *registry.Options) {
				o.Attempts, o.Backoff = 3, 100*time.Millisecond
				o.Sleep = func(_ context.Context, d time.Duration) error {
					slept = append(slept, d)
					return nil
				}
			}, f)
			ctx, cancel := context.WithTimeout(t.Context(), tc.deadline)
			defer cancel()
			ref := f.ref(t, "acme/app:1")
			_, err := sourceFor(t, c, ref.Repository()).Manifest(ctx, ref)
			if tc.want != "" {
				wantReason(t, err, tc.want)
			} else if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.slept, slept); diff != "" {
				t.Errorf("%s: waits (-want +got):\n%s", tc.reason, diff)
			}
			if n := len(f.lines()); n != tc.requests {
				t.Errorf("%s: requests: want %d, got %d", tc.reason, tc.requests, n)
			}
		})
	}
}

func retryAfter(value string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", value)
		w.WriteHeader(http.StatusTooManyRequests)
	}
}

func TestRetriesEnd(t *testing.T) {
	f := startTLS(t, status(500))
	c := clientFor(t, func(o *registry.Options) {
		o.Attempts = 3
		o.Sleep = func(context.Context, time.Duration) error { return nil }
	}, f)
	_, err := pull(t, c, f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryUnavailable)
	if n := len(f.lines()); n != 3 {
		t.Errorf("requests: want 3, got %d", n)
	}
}

func TestObserverSeesEveryRequest(t *testing.T) {
	f := startTLS(t, serve(imageType, manifestJSON("x")))
	var seen []registry.RequestInfo
	c := clientFor(t, func(o *registry.Options) {
		clock := newClock()
		o.Clock = clock.Now
		o.Observer = registry.ObserverFunc(func(r registry.RequestInfo) { seen = append(seen, r) })
	}, f)
	if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err)
	}
	want := []registry.RequestInfo{{Host: f.host, Method: "GET", Kind: registry.KindManifest, Status: 200, Bytes: len(manifestJSON("x"))}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("requests seen (-want +got):\n%s", diff)
	}
}

func TestZeroOptionsAreRefusedWithoutClock(t *testing.T) {
	if _, err := registry.New(registry.Options{}); err == nil {
		t.Error("options without clock: want an error, got none")
	}
	for _, host := range []string{"", "https://a.example", "a.example/path", "user@a.example", "a b"} {
		if _, err := registry.New(registry.Options{Clock: time.Now, AllowedHosts: []string{host}}); err == nil {
			t.Errorf("allowed host %q: want an error, got none", host)
		}
	}
}
