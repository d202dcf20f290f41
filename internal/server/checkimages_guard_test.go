package server_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// TestR46MetadataIsNotBelieved: the service that the door stands in for skips
// images that the Pod's own annotation calls verified.
func TestR46MetadataIsNotBelieved(t *testing.T) {
	body := strings.Replace(images(`,"metadata":"{\"ghcr.io/acme/app@`+digest+`\":true}"`), `"tag":"v1"`, `"digest":"`+digest+`"`, 1)
	w := postCheck(newServer(t, each(deny), checked).Doors(), body)
	if w.Code != http.StatusNotAcceptable || !strings.Contains(w.Body.String(), "failed to verify container app") {
		t.Errorf("want the image decided and refused, got %d %s", w.Code, w.Body)
	}
}

// TestR29SkippedImagesAreNotPatched: an image that its trust policy allows
// without evidence is no result.
func TestR29SkippedImagesAreNotPatched(t *testing.T) {
	w := postCheck(newServer(t, each(allow), checked).Doors(), images(""))
	if want := "{\n    \"verified\": true,\n    \"results\": []\n  }"; w.Code != http.StatusOK || w.Body.String() != want {
		t.Errorf("want 200 and no result, got %d %s", w.Code, w.Body)
	}
}

func TestCheckImagesIgnoresWhatItDoesNotKnow(t *testing.T) {
	body := strings.Replace(images(`,"namespace":"x","insecure":true,"metadata":null,"attestations":null`), `"tag":`, `"imagePullSecrets":null,"tag":`, 1)
	for _, kind := range []string{"", "application/json", "text/plain", "nonsense"} {
		if w := postCheck(newServer(t, each(prove), checked).Doors(), body, "Content-Type", kind); w.Code != http.StatusOK {
			t.Errorf("Content-Type %q: want 200, got %d %s", kind, w.Code, w.Body)
		}
	}
}

func TestCheckImagesDefaultTrustPolicy(t *testing.T) {
	s := newServer(t, each(prove), checked, func(o *server.Options) { o.CheckImages.DefaultTrustPolicy = "tp" })
	for body, want := range map[string]int{
		strings.Replace(images(""), `"trustPolicy":"tp",`, "", 1): http.StatusOK,
		strings.Replace(images(""), `"tp"`, `null`, 1):            http.StatusOK,
		strings.Replace(images(""), `"tp"`, `"other"`, 1):         http.StatusNotAcceptable,
	} {
		if w := postCheck(s.Doors(), body); w.Code != want {
			t.Errorf("want %d, got %d %s", want, w.Code, w.Body)
		}
	}
}

func TestR18CheckImagesBeforePoliciesAreLoaded(t *testing.T) {
	s := newServer(t, never(t), checked, func(o *server.Options) { o.Ready = func() error { return errBoom } })
	if w := postCheck(s.Doors(), images("")); w.Code != http.StatusInternalServerError || w.Body.String() != "not ready: boom\n" {
		t.Errorf("want 500, got %d %s", w.Code, w.Body)
	}
	unknown := newServer(t, never(t)) // nobody says which trust policies there are
	if w := postCheck(unknown.Doors(), images("")); w.Code != http.StatusNotAcceptable {
		t.Errorf("want 406, got %d %s", w.Code, w.Body)
	}
}

func TestR45CheckImagesAnswersInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := newServer(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision {
			<-release // deaf to its context
			return engine.Decision{}
		}), checked, func(o *server.Options) { o.CheckImages.Timeout = 4 * time.Second })
		began := time.Now()
		w := postCheck(s.Doors(), images(""))
		if took := time.Since(began); took >= 4*time.Second || took < 3*time.Second {
			t.Errorf("want an answer before 4 s, got one after %s", took)
		}
		if w.Code != http.StatusNotAcceptable || !strings.Contains(w.Body.String(), "expected a decision before the deadline") {
			t.Errorf("want 406, got %d %s", w.Code, w.Body)
		}
		close(release)
	})
}

func TestR48CheckImagesPanics(t *testing.T) {
	s := newServer(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision { panic("boom") }), checked)
	if w := postCheck(s.Doors(), images("")); w.Code != http.StatusNotAcceptable || !strings.Contains(w.Body.String(), "internal error") {
		t.Errorf("want 406, got %d %s", w.Code, w.Body)
	}
	door := newServer(t, never(t), func(o *server.Options) {
		o.CheckImages.TrustPolicies = func(string) bool { panic("boom") }
	})
	if w := postCheck(door.Doors(), images("")); w.Code != http.StatusInternalServerError || !strings.HasPrefix(w.Body.String(), "internal error") {
		t.Errorf("want 500, got %d %s", w.Code, w.Body)
	}
	fewer := newServer(t, server.DeciderFunc(func(context.Context, engine.Request) engine.Decision { return engine.Decision{} }), checked)
	if w := postCheck(fewer.Doors(), images("")); w.Code != http.StatusNotAcceptable {
		t.Errorf("want 406, got %d %s", w.Code, w.Body)
	}
}

// TestCheckImagesTokens: whose token is not known is not answered, and no token
// is ever repeated (TRUST R47).
func TestCheckImagesTokens(t *testing.T) {
	const secret = "eyJ-secret"
	reviewer := server.TokenReviewerFunc(func(_ context.Context, token string) (string, bool, error) {
		switch token {
		case "admission":
			return "system:serviceaccount:kyverno:kyverno-admission-controller", true, nil
		case "reports":
			return "system:serviceaccount:kyverno:kyverno-reports-controller", true, nil
		case "stranger":
			return "system:serviceaccount:default:default", true, nil
		case "nobody":
			return "", true, nil
		case "forged":
			return "system:serviceaccount:kyverno:kyverno-admission-controller", false, nil
		}
		return "", false, errors.New("no answer about " + token)
	})
	cases := map[string]struct {
		header string
		status int
		want   string
	}{
		"Absent":           {"", 401, "Authorization header not supplied\n"},
		"R48OtherScheme":   {"Basic " + secret, 401, "No token provided in the header\n"},
		"R48NoScheme":      {secret, 401, "No token provided in the header\n"},
		"R48NoToken":       {"Bearer ", 401, "No token provided in the header\n"},
		"Admission":        {"Bearer admission", 200, ""},
		"Reports":          {"bearer reports", 200, ""},
		"Stranger":         {"Bearer stranger", 406, "Token is not authorized\n"},
		"R48Nobody":        {"Bearer nobody", 406, "Token is not authorized\n"},
		"Forged":           {"Bearer forged", 406, "Token is not authorized\n"},
		"R47ReviewerFails": {"Bearer " + secret, 406, "no answer about (token)\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			s := newServer(t, each(prove), checked, func(o *server.Options) {
				o.CheckImages.TokenReviewer = reviewer
				o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			var header []string
			if tc.header != "" {
				header = []string{"Authorization", tc.header}
			}
			w := postCheck(s.Doors(), images(""), header...)
			if w.Code != tc.status || tc.want != "" && w.Body.String() != tc.want {
				t.Errorf("want %d %q, got %d %q", tc.status, tc.want, w.Code, w.Body)
			}
			if strings.Contains(w.Body.String()+log.String(), secret) {
				t.Errorf("want no token, got %s and %s", w.Body, &log)
			}
		})
	}
	t.Run("AllowedUsers", func(t *testing.T) {
		s := newServer(t, each(prove), checked, func(o *server.Options) {
			o.CheckImages.TokenReviewer, o.CheckImages.AllowedUsers = reviewer, []string{"system:serviceaccount:default:default"}
		})
		for token, want := range map[string]int{"stranger": http.StatusOK, "admission": http.StatusNotAcceptable} {
			if w := postCheck(s.Doors(), images(""), "Authorization", "Bearer "+token); w.Code != want {
				t.Errorf("%s: want %d, got %d %s", token, want, w.Code, w.Body)
			}
		}
	})
}
