package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// FuzzCheckImages sends bytes to the door over a decider that denies: an answer
// is 200 only if no image was decided, a refusal is one line of text, and
// nothing panics.
func FuzzCheckImages(f *testing.F) {
	f.Add(recordedCheck(f))
	f.Add([]byte(images("")))
	f.Add([]byte(images(`,"imageReferences":["*?a*"],"metadata":"{\"a\":true}"`)))
	f.Add([]byte(images(attestations("*", "sbom", sbomCondition))))
	f.Add([]byte(`{"images":null}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, body []byte) {
		asked := 0
		var errs bytes.Buffer
		s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
			asked = len(r.Images)
			return each(deny)(ctx, r)
		}), func(o *server.Options) {
			o.CheckImages.TrustPolicies = func(string) bool { return true }
			o.Logger = slog.New(slog.NewTextHandler(&errs, &slog.HandlerOptions{Level: slog.LevelError}))
		})
		w := postCheck(s.Doors(), string(body))
		text := w.Body.String()
		switch w.Code {
		case http.StatusOK:
			var answer struct {
				Verified bool
				Results  []any
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || asked > 0 || len(answer.Results) > 0 {
				t.Errorf("want %d images refused, got %s", asked, text)
			}
		case http.StatusNotAcceptable, http.StatusRequestEntityTooLarge:
			if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") || !utf8.ValidString(text) || len(text) < 2 {
				t.Errorf("want one line, got %q", text)
			}
		default:
			t.Errorf("want 200, 406 or 413, got %d %s", w.Code, text)
		}
		if errs.Len() > 0 {
			t.Errorf("want no panic, got %s", &errs)
		}
	})
}
