package server

import (
	"errors"
	"fmt"
	"regexp"
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

	spelled spellings
}

// maxPointer: the longest pointer in use, to a CronJob's container, has 60
// bytes.
const maxPointer = 512

// imagePointer is a place that Kyverno finds images at: a field "image" below
// the spec of a Pod or of what makes Pods.
var imagePointer = regexp.MustCompile(`^/spec(?:/[A-Za-z0-9_.~-]+){2,16}/image$`)

func parseImage(parser imageref.Parser, list, container string, value any) (checkImage, error) {
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
	i.spelled = i.spellings(parser)
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
