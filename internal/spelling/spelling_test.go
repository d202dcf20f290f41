package spelling_test

import (
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/spelling"
)

func TestNearest(t *testing.T) {
	names := []string{"require", "images", "exclude", "onUndecided", "pin", "pinKinds", "mode"}
	for given, want := range map[string]string{
		"requires": "require", "Images": "images", "image": "images", "excldue": "exclude", "onundecided": "onUndecided",
		"Pin": "pin", "pinkind": "pinKinds", "onUndec": "onUndecided", "": "", "x": "", "completely": "", "mode": "",
		strings.Repeat("mode", 100): "",
	} {
		if got := spelling.Nearest(given, names); got != want {
			t.Errorf("Nearest(%.20q): expected %q, got %q", given, want, got)
		}
	}
}
