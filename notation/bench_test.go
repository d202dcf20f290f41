package notation_test

import (
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

func BenchmarkVerify(b *testing.B) {
	p := newPKI(b, fixture.CertificateOptions{})
	s := newSigner(b, p.options())
	of := image("content")
	for name, format := range formats {
		it := item(b, of, p.leaf, fixture.NotationOptions{Format: format})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Verify(b.Context(), of, it); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
