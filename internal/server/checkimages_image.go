package server

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/workload"
)

// The lists of a Pod that the protocol knows.
const (
	listContainers = "containers"
	listInit       = "initContainers"
	listEphemeral  = "ephemeralContainers"
)

// checkImage is an image as Kyverno takes it apart.
type checkImage struct {
	list, container string
	registry, name  string
	path            string
	tag, digest     string
	// reference and referenceWithTag repeat the other fields, since Kyverno 1.12.
	reference, referenceWithTag string
	pointer                     string

	spelled []string // its forms
}

// maxPointer: the longest pointer in use, to a CronJob's container, has 60
// bytes.
const maxPointer = 512

// imagePointer is a place that Kyverno finds images at: a field "image" below
// the spec of a Pod or of what makes Pods.
var imagePointer = regexp.MustCompile(`^/spec(?:/[A-Za-z0-9_.~-]+){2,16}/image$`)

func parseImage(list, container string, value any) (checkImage, error) {
	where := fmt.Sprintf("images.%s[%q]", list, clip(container, maxLine))
	o, err := newObject(where, value, "registry", "name", "path", "tag", "digest", "reference", "referenceWithTag", "jsonPointer")
	if err != nil {
		return checkImage{}, err
	}
	i := checkImage{list: list, container: container}
	for name, into := range map[string]*string{
		"registry": &i.registry, "name": &i.name, "path": &i.path, "tag": &i.tag, "digest": &i.digest,
		"reference": &i.reference, "referenceWithTag": &i.referenceWithTag, "jsonPointer": &i.pointer,
	} {
		text, e := o.text(name)
		err = errors.Join(err, e)
		*into = text
	}
	if err != nil {
		return checkImage{}, err
	}
	if err := i.check(); err != nil {
		return checkImage{}, fmt.Errorf("%s: %w", where, err)
	}
	i.spelled = i.forms()
	return i, nil
}

// check vouches that the fields say one thing: what is verified is rebuilt from
// some of them, and what runs is at the pointer (TRUST R48).
func (i checkImage) check() error {
	switch {
	case i.path == "":
		return errors.New("path: expected the repository's path, got none")
	case strings.ContainsAny(i.path, "@:") || strings.Contains(i.registry, "@"):
		return fmt.Errorf("path: expected no tag and no digest in it, got %q", clip(i.path, maxLine))
	case i.tag == "" && i.digest == "":
		return errors.New("expected a tag or a digest, got neither")
	case i.reference != "" && i.reference != i.ref():
		return fmt.Errorf("reference: expected %q, as the other fields say, got %q", clip(i.ref(), maxLine), clip(i.reference, maxLine))
	case i.referenceWithTag != "" && i.referenceWithTag != i.base()+":"+i.tag:
		return fmt.Errorf("referenceWithTag: expected %q, as the other fields say, got %q", clip(i.base()+":"+i.tag, maxLine), clip(i.referenceWithTag, maxLine))
	case len(i.pointer) > maxPointer || !imagePointer.MatchString(i.pointer):
		return fmt.Errorf("jsonPointer: expected one such as \"/spec/containers/0/image\", got %q", clip(i.pointer, maxLine))
	}
	return nil
}

// base is the repository as the caller spells it.
func (i checkImage) base() string {
	if i.registry == "" {
		return i.path
	}
	return i.registry + "/" + i.path
}

// ref is the image as Kyverno spells it: by digest if it has one, else by tag.
func (i checkImage) ref() string {
	if i.digest != "" {
		return i.base() + "@" + i.digest
	}
	return i.base() + ":" + i.tag
}

// workload is the image for the decision.
func (i checkImage) workload() workload.Image {
	return workload.Image{Name: i.container, List: i.list, Pointer: i.pointer, Ref: i.ref()}
}

// String is the image as the protocol's messages print it: the fields in order,
// the last two where the caller's Kyverno knows them.
func (i checkImage) String() string {
	fields := []string{i.registry, i.name, i.path, i.tag, i.digest}
	if i.reference != "" || i.referenceWithTag != "" {
		fields = append(fields, i.reference, i.referenceWithTag)
	}
	return "{{" + strings.Join(fields, " ") + "} " + i.pointer + "}"
}

// forms are the spellings of the image that a pattern may have been written
// for, each once.
func (i checkImage) forms() []string {
	all := []string{i.ref(), i.base(), i.base() + ":" + i.tag}
	if ref, err := imageref.Parse(i.ref()); err == nil {
		all = append(all, spellings(ref)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// spellings are the forms of a reference.
func spellings(ref imageref.Reference) []string {
	repository := ref.Repository().String()
	forms := []string{ref.Original(), ref.String(), repository}
	if ref.Tag() != "" {
		forms = append(forms, repository+":"+ref.Tag())
	}
	if !ref.Digest().IsZero() {
		forms = append(forms, repository+"@"+ref.Digest().String())
	}
	return forms
}

// matches reports whether one of the forms is what the pattern means: doubt
// includes (TRUST R12).
func matches(pattern string, forms []string) bool {
	return slices.ContainsFunc(forms, func(f string) bool { return wildcard(pattern, f) })
}

// maxMatching bounds the work of matching all patterns of a request with all
// images, in pairs of bytes: half a second at worst. Twenty images and twenty
// patterns are below two million.
const maxMatching = 1 << 28

// checkMatching refuses requests that would take too long to match.
func (r checkRequest) checkMatching() error {
	var patterns, forms int
	for _, p := range r.patterns {
		patterns += len(p)
	}
	for _, a := range r.attestations {
		patterns += len(a.pattern)
	}
	for _, i := range r.images {
		for _, f := range i.spelled {
			forms += len(f)
		}
	}
	if patterns*forms > maxMatching {
		return fmt.Errorf("expected at most %d pairs of bytes of patterns and images, got %d", maxMatching, patterns*forms)
	}
	return nil
}

// wildcard matches as Kyverno does: "*" is any run of characters, "?" is one.
// It takes time proportional to the product of the lengths: it remembers the
// latest star only, since giving an earlier one more cannot help what follows.
func wildcard(pattern, s string) bool {
	p, n := []rune(pattern), []rune(s)
	at, star, mark := 0, -1, 0
	for i := 0; i < len(n); {
		switch {
		case at < len(p) && p[at] == '*':
			star, mark = at, i
			at++
		case at < len(p) && (p[at] == '?' || p[at] == n[i]):
			at++
			i++
		case star >= 0:
			mark++
			at, i = star+1, mark
		default:
			return false
		}
	}
	for at < len(p) && p[at] == '*' {
		at++
	}
	return at == len(p)
}
