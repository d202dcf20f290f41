package trust_test

import (
	"bytes"
	"net/http"
	"os"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/trust"
)

// FuzzMirrorFile has a mirror send anything in place of one of its files: what
// was not signed is never believed, and nothing ends the process.
func FuzzMirrorFile(f *testing.F) {
	for i := range 4 {
		f.Add(uint8(i), []byte(`{"signed":{"_type":"root","keys":{"a":null},"roles":{"root":null}},"signatures":[{"keyid":"","sig":""}]}`))
		f.Add(uint8(i), []byte(`{"signed":{"_type":"targets","targets":{"x":null},"delegations":{"roles":[null]}},"signatures":[]}`))
		f.Add(uint8(i), []byte(`{"signed":{"_type":"timestamp","version":1e9,"expires":"2030-01-01T00:00:00Z","meta":{"snapshot.json":{"version":-1}}}}`))
	}
	r := newRig(f)
	r.options.Dir = ""
	before := r.network.hosts[mirrorHost]
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		r.t, r.repo.t = t, t
		r.network.hosts[mirrorHost] = before
		r.restart()
		file := []string{"2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"}[which%4]
		real, _ := r.repo.file(file)
		r.network.answerTo(file, func() (*http.Response, error) { return answer(http.StatusOK, bytes.NewReader(content)), nil })
		r.known()
		r.fetch()
		if got := r.known(); got != "" && !bytes.Equal(content, real) {
			t.Errorf("TrustedRoot() = %q through %q", got, content)
		}
	})
}

// FuzzCacheFile has anything on disk.
func FuzzCacheFile(f *testing.F) {
	f.Add([]byte(`{"format":1,"roots":[],"timestamp":"e30=","snapshot":"e30=","targets":"e30=","content":"","checked":"2026-03-01T12:00:00Z"}`))
	f.Add([]byte(`{"format":1,"roots":["bnVsbA=="],"timestamp":"bnVsbA=="}`))
	f.Add([]byte(`[]`))
	r := newRig(f)
	r.known()
	r.fetch()
	name := r.file()
	f.Fuzz(func(t *testing.T, content []byte) {
		r.t = t
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		r.keeper = trust.New(r.options)
		if got := r.known(); got != "" {
			t.Errorf("TrustedRoot() = %q from %q", got, content)
		}
	})
}
