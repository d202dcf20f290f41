package demo_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/demo"
)

// Every scenario, and so every example's own policies: each image is decided as
// it must be.
func TestScenarios(t *testing.T) {
	for _, name := range demo.Scenarios() {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := demo.Run(t.Context(), name, &out, time.Now); err != nil {
				t.Errorf("want every image decided as it must be, got %v\n%s", err, out.String())
			}
			if !strings.Contains(out.String(), "admitted") || !strings.Contains(out.String(), "refused") {
				t.Errorf("want an image that is admitted and one that is refused, got\n%s", out.String())
			}
		})
	}
}

func TestUnknownScenario(t *testing.T) {
	err := demo.Run(t.Context(), "nothing", &bytes.Buffer{}, time.Now)
	if err == nil || errors.Is(err, demo.ErrWrong) || !strings.Contains(err.Error(), "kyverno-chains") {
		t.Errorf("want an error that lists the scenarios, got %v", err)
	}
}
