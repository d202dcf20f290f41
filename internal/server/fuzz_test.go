package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// FuzzAdmissionReview sends bytes to both doors over a decider that denies
// everything: no answer may allow unless nobody was asked about any image, and
// nothing may panic.
func FuzzAdmissionReview(f *testing.F) {
	for _, name := range []string{"pod-create", "pod-create-mirror", "pod-create-generate-name-dry-run", "pod-ephemeralcontainers", "pod-update-image", "pod-update-labels"} {
		f.Add(recorded(f, name))
	}
	f.Add([]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","kind":{"version":"v1","kind":"Pod"},"object":null}}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, body []byte) {
		asked := 0
		var errs bytes.Buffer
		s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
			asked = len(r.Images)
			return each(deny)(ctx, r)
		}), func(o *server.Options) {
			o.Logger = slog.New(slog.NewTextHandler(&errs, &slog.HandlerOptions{Level: slog.LevelError}))
		})
		for _, path := range []string{mutateDoor, validateDoor} {
			asked = 0
			w := post(s.Doors(), path, body)
			if w.Code >= http.StatusInternalServerError {
				t.Fatalf("got %d: %s", w.Code, w.Body)
			}
			if w.Code != http.StatusOK {
				continue
			}
			var review admissionv1.AdmissionReview
			if err := json.Unmarshal(w.Body.Bytes(), &review); err != nil || review.Response == nil {
				t.Fatalf("read the answer: %v in %s", err, w.Body)
			}
			if review.Response.Allowed && asked > 0 || len(review.Response.Patch) > 0 {
				t.Fatalf("want %d images refused, got %s", asked, w.Body)
			}
		}
		if errs.Len() > 0 {
			t.Fatalf("want no panic, got %s", &errs)
		}
	})
}
