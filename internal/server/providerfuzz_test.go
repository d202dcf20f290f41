package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// FuzzProviderRequest sends bytes to every door over a decider that verifies
// nothing: the answer is a ProviderResponse with an item for each key that
// Gatekeeper would have sent, or a system error, and nothing is verified.
func FuzzProviderRequest(f *testing.F) {
	f.Add(keys(f, "ghcr.io/acme/app:denied", "[shop]ghcr.io/acme/app:other", "a\nb", ""))
	f.Add(keys(f, "ghcr.io/acme/app:undecided"))
	f.Add([]byte(`{"apiVersion":"externaldata.gatekeeper.sh/v1alpha1","kind":"ProviderRequest","request":{"keys":["\ud800","[]x","[::1]/a"]}}`))
	f.Add([]byte(`{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":[null]}}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var errs bytes.Buffer
		s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
			if d.Reference.Tag() == "allowed" {
				return deny(r, d)
			}
			return byTag(r, d)
		}), func(o *server.Options) {
			o.Logger = slog.New(slog.NewTextHandler(&errs, &slog.HandlerOptions{Level: slog.LevelError}))
		})
		for _, path := range providerPaths() {
			a := provided(t, post(s.Doors(), path, body))
			if (a.Response.SystemError == "") == (len(a.Response.Items) == 0) {
				t.Fatalf("%s: want items or a system error, got %+v", path, a)
			}
			if a.Response.SystemError != "" {
				continue
			}
			var sent struct {
				Request struct{ Keys []string }
			}
			if err := json.Unmarshal(body, &sent); err != nil || len(sent.Request.Keys) != len(a.Response.Items) {
				t.Fatalf("%s: want an item for each of %q, got %+v, %v", path, sent.Request.Keys, a, err)
			}
			for i, j := range a.Response.Items {
				checkItem(t, path, sent.Request.Keys[i], j)
			}
		}
		if errs.Len() > 0 {
			t.Fatalf("want no panic, got %s", &errs)
		}
	})
}

// checkItem: nothing was verified.
func checkItem(t *testing.T, path, key string, j item) {
	t.Helper()
	if j.Key != key {
		t.Fatalf("%s: want key %q, got %q", path, key, j.Key)
	}
	if j.Error != "" {
		return
	}
	switch value := j.Value.(type) {
	case map[string]any:
		if value["isSuccess"] != false || value["succeeded"] != false || value["traceID"] == "" || value["timestamp"] == "" || value["version"] == "" {
			t.Fatalf("%s: want not verified, got %v", path, value)
		}
	case string:
		if !strings.HasSuffix(path, "mutate") || value != key && !strings.HasSuffix(key, value) {
			t.Fatalf("%s: want the image unchanged, got %q", path, value)
		}
	default:
		t.Fatalf("%s: want a value or an error, got %+v", path, j)
	}
}
