package dialect

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of one load: a directory with more is hardly a directory of policies.
const (
	maxFiles      = 1000
	maxTotalBytes = 64 << 20
)

// File is a file and its content.
type File struct {
	Name    string // as it was named: a path, or a directory's path and an entry
	Content []byte
}

// ReadFiles reads the policy files that paths name, in the order of paths. A
// directory stands for the files *.yaml, *.yml and *.json directly in it, in
// the order of their names; subdirectories and names that begin with a dot are
// passed over, so that a mounted ConfigMap works, whose entries are symbolic
// links into a hidden directory. A directory without such a file is an error:
// an empty set of policies would protect nothing (TRUST R48).
//
// The error is [Errors]; the files that could be read are returned beside it.
func ReadFiles(paths []string) ([]File, error) {
	var files []File
	var failed Errors
	var total int
	for _, path := range paths {
		names, err := expand(path)
		if err != nil {
			failed = append(failed, &Error{File: path, Message: cause(err), Err: err})
			continue
		}
		for _, name := range names {
			if len(files) == maxFiles {
				return nil, append(failed, &Error{File: path, Message: fmt.Sprintf("expected at most %d files, got more", maxFiles)}).Err()
			}
			content, err := ReadFile(name)
			if err != nil {
				failed = append(failed, &Error{File: name, Message: cause(err), Err: err})
				continue
			}
			if total += len(content); total > maxTotalBytes {
				return nil, append(failed, &Error{File: path, Message: fmt.Sprintf("expected at most %d bytes in all files, got more", maxTotalBytes)}).Err()
			}
			files = append(files, File{Name: name, Content: content})
		}
	}
	return files, failed.Err()
}

// expand returns the files that a path names.
func expand(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if !isPolicyFile(entry.Name()) {
			continue
		}
		name := filepath.Join(path, entry.Name())
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("expected a directory with files *.yaml, *.yml or *.json, got none")
	}
	return names, nil
}

func isPolicyFile(name string) bool {
	return !strings.HasPrefix(name, ".") && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))
}

// ReadFile reads a file of at most 4 MiB, following symbolic links. A file that
// is not regular is refused: a pipe would never end.
func ReadFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("expected a regular file, got %s", info.Mode().Type())
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1)) //nolint:forbidigo // bounded by the reader
	if err != nil {
		return nil, err
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("expected at most %d bytes, got more", maxFileBytes)
	}
	return content, nil
}

// cause returns an error's words without the path that it repeats.
func cause(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
