package policyset

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
)

// references reads the files that policies refer to, each once, so that all
// policies of a set see one content.
type references struct {
	contents map[string]reference
}

type reference struct {
	content []byte
	err     error
}

func newReferences() references { return references{contents: make(map[string]reference)} }

// read is [dialect.Loader].ReadFile.
func (r references) read(document dialect.Document, path string) ([]byte, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(document.File), path)
	}
	return r.file(path)
}

func (r references) file(name string) ([]byte, error) {
	if known, read := r.contents[name]; read {
		return known.content, known.err
	}
	content, err := dialect.ReadFile(name)
	r.contents[name] = reference{content, err}
	return content, err
}

func (r references) names() []string { return slices.Sorted(maps.Keys(r.contents)) }

// contentNow returns what the content of an attempt would be now, if it were to
// refer to the same files.
func contentNow(paths, referenced []string, o Options) content {
	revision := o.revision()
	files, err := dialect.ReadFiles(paths)
	r := newReferences()
	for _, name := range referenced {
		_, _ = r.file(name) // its error is part of the digest
	}
	return content{digestOf(files, err, r), revision}
}

// digestOf hashes names and contents, and why a file could not be read: a file
// that becomes readable is a change.
func digestOf(files []dialect.File, unreadable error, r references) imageref.Digest {
	var all []byte
	add := func(what, name string, content []byte) {
		all = fmt.Appendf(all, "%s %q %s\n", what, name, imageref.DigestOf(content))
	}
	for _, f := range files {
		add("file", f.Name, f.Content)
	}
	if unreadable != nil {
		add("unreadable", "", []byte(unreadable.Error()))
	}
	for _, name := range r.names() {
		known := r.contents[name]
		add("reference", name, known.content)
		if known.err != nil {
			add("unreadable", name, []byte(known.err.Error()))
		}
	}
	return imageref.DigestOf(all)
}
