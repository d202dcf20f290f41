package notation_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

// TestOpenTrustStores: the layouts of volumes that kubelet mounts, and links
// that would lead elsewhere.
func TestOpenTrustStores(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	for name, tc := range map[string]struct {
		reason string
		file   string      // with a certificate, below the folder
		links  [][2]string // target, link below the folder; in order
		stores int
		fails  bool
	}{
		"Plain":       {reason: "no volume", file: "x509/ca/acme/root.crt", stores: 1},
		"StoreVolume": {reason: "a ConfigMap mounted as a store", file: "x509/ca/acme/..2026_11/root.crt", links: [][2]string{{"..2026_11", "x509/ca/acme/..data"}, {"..data/root.crt", "x509/ca/acme/root.crt"}}, stores: 1},
		"WholeVolume": {reason: "a ConfigMap with paths, mounted as the folder", file: "..2026_11/x509/ca/acme/root.crt", links: [][2]string{{"..2026_11", "..data"}, {"..data/x509", "x509"}}, stores: 1},
		"OtherLink":   {reason: "beside x509 nothing is ours", file: "x509/ca/acme/root.crt", links: [][2]string{{"/etc/passwd", "other"}, {"nowhere", "broken"}}, stores: 1},
		"Outside":     {reason: "no certificate of ours", file: "x509/ca/acme/root.crt", links: [][2]string{{"../../../../outside.crt", "x509/ca/acme/more.crt"}}, fails: true},
		"Absolute":    {reason: "absolute links leave the folder", file: "x509/ca/acme/root.crt", links: [][2]string{{"/outside.crt", "x509/ca/acme/more.crt"}}, fails: true},
		"Broken":      {reason: "a certificate may be missing", file: "x509/ca/acme/root.crt", links: [][2]string{{"nowhere.crt", "x509/ca/acme/more.crt"}}, fails: true},
		"Loop":        {reason: "it leads nowhere", file: "x509/ca/acme/root.crt", links: [][2]string{{"more.crt", "x509/ca/acme/more.crt"}}, fails: true},
		"FolderFile":  {reason: "a folder is no certificate", file: "x509/ca/acme/root.crt", links: [][2]string{{"../acme", "x509/ca/acme/more.crt"}}, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "stores")
			write(t, filepath.Join(dir, "..", "outside.crt"), p.root.PEM())
			write(t, filepath.Join(dir, filepath.FromSlash(tc.file)), p.root.PEM())
			for _, link := range tc.links {
				if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
					t.Fatal(err)
				}
			}
			stores, err := notation.OpenTrustStores(dir)
			if (err != nil) != tc.fails || len(stores) != tc.stores {
				t.Errorf("%s: want %d stores and an error: %t, got %d and %v", tc.reason, tc.stores, tc.fails, len(stores), err)
			}
		})
	}
	if _, err := notation.OpenTrustStores(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("want a folder that is not there to be refused")
	}
}
