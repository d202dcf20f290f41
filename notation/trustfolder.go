package notation

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// OpenTrustStores is LoadTrustStores for a folder that Kubernetes may have
// mounted from a ConfigMap or Secret: symbolic links that stay within the
// folder are followed, and names that begin with "..", which hold a volume's
// versions, are passed over.
func OpenTrustStores(dir string) ([]TrustStore, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open trust store folder: %w", err)
	}
	defer root.Close()
	return tree{FS: root.FS(), links: true}.stores()
}

// tree is a folder of trust stores.
type tree struct {
	fs.FS
	links bool // lead nowhere else, and may be followed
}

// entries lists a folder, links replaced by what they lead to.
func (t tree) entries(dir string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(t.FS, dir)
	if err != nil || !t.links {
		return entries, err
	}
	followed := make([]fs.DirEntry, 0, len(entries))
	for _, e := range entries {
		// kubelet keeps a volume's versions in "..2026_01_02" and links "..data" to
		// the newest.
		if strings.HasPrefix(e.Name(), "..") {
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 {
			// One that leads nowhere, or out of the folder, stays a link.
			if info, err := fs.Stat(t.FS, path.Join(dir, e.Name())); err == nil {
				e = linked{DirEntry: e, info: info}
			}
		}
		followed = append(followed, e)
	}
	return followed, nil
}

// linked is an entry under its own name, of the type of what it leads to.
type linked struct {
	fs.DirEntry
	info fs.FileInfo
}

// IsDir implements fs.DirEntry.
func (l linked) IsDir() bool { return l.info.IsDir() }

// Type implements fs.DirEntry.
func (l linked) Type() fs.FileMode { return l.info.Mode().Type() }
