package policyset

import (
	"fmt"
	"time"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/trust"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// FormSigners returns Signers that say what is wrong with what policies write,
// and ask nobody: what comes from afar is never known, whatever the operator's
// flags let one ask. Nothing is to be verified with the signers that they make.
func FormSigners(now func() time.Time) (Signers, error) {
	root, err := sigstore.PublicGood()
	if err != nil {
		return Signers{}, fmt.Errorf("read the trusted root that is shipped: %w", err)
	}
	s := NewSigners(root)
	s.Material = unknown{trust.Options{Now: now, PlainHTTP: func(string) bool { return true }}}
	return s, nil
}

// unknown is Material of which nothing is known. It keeps nothing either: each
// question has a keeper of its own, which nobody runs.
type unknown struct{ options trust.Options }

// TrustedRoot implements [Material].
func (u unknown) TrustedRoot(spec dialect.TUFSpec) ([]byte, error) {
	return trust.New(u.options).TrustedRoot(spec)
}

// PublicKey implements [Material].
func (u unknown) PublicKey(uri string) ([]byte, error) { return trust.New(u.options).PublicKey(uri) }
