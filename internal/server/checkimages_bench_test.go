package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// BenchmarkCheckImages measures a request for one signed image with a signed
// inventory, over a real engine and registry: cold, the image was never seen;
// warm, it was. Handler is the door alone, over a decider that allows.
func BenchmarkCheckImages(b *testing.B) {
	w, acme := newWorld(b), newParty(b, "Acme")
	w.adopt(map[string]string{"store": acme.store("acme"), "tp": trustPolicy("tp", "strict", "acme")})
	const sbom = "sbom/cyclone-dx"
	inventory := `{"creationInfo":{"licenseListVersion":"3.17"},"packages":[` + strings.TrimSuffix(strings.Repeat(`{"name":"package","license":"MIT"},`, 2000), ",") + `]}`
	asked := attestations("*", sbom, sbomCondition)
	ask := func(b *testing.B, body string) {
		if response := postCheck(w.server.Doors(), body); response.Code != http.StatusOK {
			b.Fatalf("%d %s", response.Code, response.Body)
		}
	}
	image := func(b *testing.B, name string) string {
		b.Helper()
		w.image(name, w.signed(acme.leaf), w.attached(sbom, inventory, acme.leaf))
		return w.body("tp", map[string]string{"main": name}, asked)
	}
	b.Run("Cold", func(b *testing.B) {
		b.ReportAllocs()
		requests := 0
		for i := range b.N {
			b.StopTimer()
			body := image(b, fmt.Sprintf("acme/cold:%d-%d", b.N, i))
			w.Reset()
			b.StartTimer()
			ask(b, body)
			requests += fixture.Steps(w.Requests())
		}
		b.ReportMetric(float64(requests)/float64(b.N), "registry-steps/op")
	})
	b.Run("Warm", func(b *testing.B) {
		body := image(b, "acme/warm:1")
		ask(b, body)
		b.ReportAllocs()
		for b.Loop() {
			ask(b, body)
		}
	})
	b.Run("Handler", func(b *testing.B) {
		h := newServer(b, each(prove), checked).Doors()
		body := w.body("tp", map[string]string{"main": "acme/warm:1"}, asked)
		b.ReportAllocs()
		for b.Loop() {
			if response := postCheck(h, body); response.Code != http.StatusOK {
				b.Fatalf("%d %s", response.Code, response.Body)
			}
		}
	})
}
