package registry_test

import (
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/registry"
)

// Many callers find out at once that a named host speaks plain HTTP: that is no
// failure of the host, and the circuit breaker stays closed.
func TestR10PlainHTTPIsNoFailure(t *testing.T) {
	r, err := fixture.NewRegistry(fixture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	image, err := r.PushImage(t.Context(), "acme/app:v1", "a")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		client, err := registry.New(registry.Options{Clock: time.Now, InsecureHosts: []string{r.Host()}, Attempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		var asking sync.WaitGroup
		for range 16 {
			asking.Go(func() {
				src, _, err := client.Source(t.Context(), evidence.Puller{}, image.Reference.Repository())
				if err == nil {
					_, err = src.Manifest(t.Context(), image.Reference)
				}
				if err != nil {
					t.Errorf("want the manifest, got %v", err)
				}
			})
		}
		asking.Wait()
		client.Close()
	}
}
