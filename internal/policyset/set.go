package policyset

import (
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Options say how policies are read.
type Options struct {
	// Dialects read the documents; no two may read one kind.
	Dialects []dialect.Dialect
	// Revision changes whenever [Material] would answer otherwise than it did. It
	// is asked before policies are read, and they are read again when it differs.
	// Nil never changes.
	Revision func() uint64
	// ExceptionsAlone says that the policies which exceptions lift are elsewhere:
	// paths with nothing but exceptions are then no error.
	ExceptionsAlone bool
}

func (o Options) revision() uint64 {
	if o.Revision == nil {
		return 0
	}
	return o.Revision()
}

// Set is what paths held at one time. The zero Set is that of no paths. It is
// immutable.
type Set struct {
	// Policies in the order of paths, files and documents.
	Policies []policy.Policy
	// Exceptions and Denials in the same order.
	Exceptions []policy.Exception
	Denials    []policy.Denial
	// Objects are the Secrets and ConfigMaps among the documents.
	Objects dialect.Objects
	// Digest identifies the content that the set was made from: of the policy
	// files and of those that policies refer to, with their names.
	Digest imageref.Digest
}

// Weakenings returns how many notes of the policies, exceptions and deny lists
// are weakenings (TRUST R19).
func (s Set) Weakenings() int {
	var count int
	for _, p := range s.Policies {
		count += weakenings(p.Notes)
	}
	for _, e := range s.Exceptions {
		count += weakenings(e.Notes)
	}
	for _, d := range s.Denials {
		count += weakenings(d.Notes)
	}
	return count
}

func weakenings(notes []policy.Note) int {
	var count int
	for _, n := range notes {
		if n.Weakening {
			count++
		}
	}
	return count
}

// Load reads the files and directories that paths name (see
// [dialect.ReadFiles]). Paths without a policy or deny list among them are an
// error, unless the options say otherwise: whoever names some wants some (TRUST
// R48). The error is [dialect.Errors] and holds everything that is wrong; the Set
// is then zero.
func Load(paths []string, o Options) (Set, error) {
	attempt := load(paths, o)
	return attempt.set, attempt.err
}

// attempt is a set or why there is none, and by what content to tell whether
// another attempt would differ.
type attempt struct {
	set        Set
	err        error
	references []string
	content    content
	// documents and read are what a set was made from, to make it again.
	documents []dialect.Document
	read      references
}

// content is what a set is made from: files, and what [Material] knew. It is
// comparable.
type content struct {
	digest   imageref.Digest
	revision uint64
}

func load(paths []string, o Options) attempt {
	revision := o.revision() // first: what changes meanwhile is noticed later
	files, unreadable := dialect.ReadFiles(paths)
	failed := dialect.ErrorsOf(unreadable, "")
	var documents []dialect.Document
	for _, f := range files {
		found, err := dialect.Parse(f.Name, f.Content)
		failed = append(failed, dialect.ErrorsOf(err, f.Name)...)
		documents = append(documents, found...)
	}
	references := newReferences()
	set, err := compile(documents, references, o)
	failed = append(failed, dialect.ErrorsOf(err, "")...)
	enough := len(set.Policies)+len(set.Denials) > 0 || o.ExceptionsAlone && len(set.Exceptions) > 0
	if len(paths) > 0 && !enough && len(failed) == 0 {
		failed = append(failed, &dialect.Error{File: paths[0], Message: "expected at least one policy among the documents, got none"})
	}
	done := attempt{err: failed.Err(), references: references.names(), content: content{digestOf(files, unreadable, references), revision}}
	if done.err == nil {
		done.set = set
		done.set.Digest = done.content.digest
		done.documents, done.read = documents, references
	}
	return done
}

// compile makes a set without its digest.
func compile(documents []dialect.Document, r references, o Options) (Set, error) {
	all, objects := dialect.Loader{Dialects: o.Dialects, ReadFile: r.read}.LoadEach(documents)
	set := Set{Objects: objects}
	var failed dialect.Errors
	for _, one := range all {
		failed = append(failed, dialect.ErrorsOf(one.Err, one.Document.File)...)
		set.Policies = append(set.Policies, one.Policies...)
		set.Exceptions = append(set.Exceptions, one.Rulings.Exceptions...)
		set.Denials = append(set.Denials, one.Rulings.Denials...)
	}
	return set, failed.Err()
}

// again makes the set of a good attempt once more, of the same documents and what
// [Material] knows now.
func (a attempt) again(o Options) attempt {
	a.content.revision = o.revision()
	set, err := compile(a.documents, a.read, o)
	if a.err = err; err == nil {
		a.set = set
		a.set.Digest = a.content.digest
	}
	return a
}
