package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/bonafide-dev/bonafide/evidence"
)

const (
	// repositoryFormat is of the files on disk. A file of another is no use.
	repositoryFormat = 1
	// maxStored bounds a file: all roots and the rest, in base64.
	maxStored = (maxRoots*maxRootBytes+maxTimestampBytes+maxSnapshotBytes+maxTargetsBytes+maxContentBytes)*4/3 + 4096
)

// CacheDir returns where verified repositories are kept: the folder tuf in
// $BONAFIDE_CACHE_DIR, or else in the folder bonafide of the user's cache. It is
// empty, which keeps none, if neither is known.
func CacheDir(getenv func(string) string, userCacheDir func() (string, error)) string {
	if dir := getenv("BONAFIDE_CACHE_DIR"); dir != "" {
		return filepath.Join(dir, "tuf")
	}
	dir, err := userCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "bonafide", "tuf")
}

// readRepository reads what was kept; nothing is no error. What it returns is
// not verified.
func readRepository(name string) (repository, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return repository{}, nil
	case err != nil:
		return repository{}, err
	case !info.Mode().IsRegular() || info.Size() > maxStored:
		return repository{}, fmt.Errorf("%s: expected a file of at most %d bytes", name, maxStored)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return repository{}, err
	}
	var stored repository
	if err := evidence.DecodeJSON(raw, &stored); err != nil {
		return repository{}, fmt.Errorf("%s: %w", name, err)
	}
	if stored.Format != repositoryFormat {
		return repository{}, fmt.Errorf("%s: expected format %d, got %d", name, repositoryFormat, stored.Format)
	}
	return stored, nil
}

// writeRepository replaces a file as a whole, for its owner alone.
func writeRepository(dir, name string, r repository) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(raw)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
