package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ModuleFile returns a file of the source that the named program is built from,
// such as the manifests that its project ships. The path is relative to the
// program's module. The module is downloaded if need be.
func ModuleFile(tb testing.TB, name, path string) []byte {
	tb.Helper()
	folder, err := moduleFolder(context.WithoutCancel(tb.Context()), name)
	if err != nil {
		tb.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
	if err != nil {
		tb.Fatalf("read the source of %s: %v", name, err)
	}
	return content
}

// moduleFolder is where the source of the program is, checked against the
// nested module's go.sum.
func moduleFolder(ctx context.Context, name string) (string, error) {
	p, err := programOf(name)
	if err != nil {
		return "", err
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	out, err := goOutput(ctx, filepath.Join(root, "hack", p.folder), "mod", "download", "-json", p.module)
	if err != nil {
		return "", fmt.Errorf("find the source of %s: %w", name, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("find the source of %s: %w", name, err)
	}
	return module.Dir, nil
}

// goOutput runs the Go command in a folder and returns its standard output.
func goOutput(ctx context.Context, folder string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...) // #nosec G204 -- the arguments are this package's own
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			out = append(out, exit.Stderr...)
		}
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return out, nil
}

// moduleManifests returns the YAML files below the folders of a program's
// source, in the order of their names.
func moduleManifests(ctx context.Context, name string, folders ...string) ([][]byte, error) {
	source, err := moduleFolder(ctx, name)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(source, filepath.FromSlash(folder)), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".yaml") {
				return err
			}
			content, err := os.ReadFile(path) // #nosec G122 -- the Go command keeps this tree
			all = append(all, content)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read the manifests of %s: %w", name, err)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read the manifests of %s: expected some in %q, got none", name, folders)
	}
	return all, nil
}
