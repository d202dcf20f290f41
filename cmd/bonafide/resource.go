package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/workload"
)

// maxObjects bounds the objects of one file.
const maxObjects = 10_000

// readObjects reads Kubernetes manifests: several documents, and Lists. It also
// names the objects that it passed over, of kinds that are not known to hold
// images. A file without any image is an error: deciding nothing is not
// deciding (TRUST R48).
func readObjects(file string, content []byte) (objects []workload.Object, passed []string, err error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for number := 1; ; number++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: document %d: %w", file, number, err)
		}
		raw, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: document %d: %w", file, number, err)
		}
		found, others, err := objectsIn(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: document %d: %w", file, number, err)
		}
		passed = append(passed, others...)
		if objects = append(objects, found...); len(objects) > maxObjects {
			return nil, nil, fmt.Errorf("%s: expected at most %d objects, got more", file, maxObjects)
		}
	}
	for _, o := range objects {
		if len(o.Images) > 0 {
			return objects, passed, nil
		}
	}
	return nil, nil, hintError{fmt.Errorf("%s: expected objects with images, got none", file), fmt.Sprintf("the kinds that hold images are %v", workload.Kinds())}
}

func objectsIn(raw []byte) (objects []workload.Object, passed []string, err error) {
	var value any
	if err := evidence.DecodeJSON(raw, &value); err != nil {
		return nil, nil, err
	}
	if value == nil { // a document of comments
		return nil, nil, nil
	}
	root, ok := value.(map[string]any)
	if !ok {
		return nil, nil, errors.New("expected an object")
	}
	return walk(root)
}

// walk reads an object, or the items of a list of any kind.
func walk(root map[string]any) (objects []workload.Object, passed []string, err error) {
	kind, _ := root["kind"].(string)
	apiVersion, _ := root["apiVersion"].(string)
	element, isList := strings.CutSuffix(kind, "List")
	items, hasItems := root["items"].([]any)
	if isList && hasItems {
		for i, item := range items {
			object, ok := item.(map[string]any)
			if !ok {
				return nil, nil, fmt.Errorf("items[%d]: expected an object", i)
			}
			if _, named := object["kind"]; !named && element != "" { // the items of a PodList have no kind of their own
				object["kind"], object["apiVersion"] = element, apiVersion
			}
			found, others, err := walk(object)
			if err != nil {
				return nil, nil, fmt.Errorf("items[%d]: %w", i, err)
			}
			objects, passed = append(objects, found...), append(passed, others...)
		}
		return objects, passed, nil
	}
	object, err := workload.Walk(root)
	if problem := evidence.ProblemOf(err); problem != nil && problem.Reason == evidence.UnknownKind {
		if holdsContainers(root) { // it would run something that was not decided
			return nil, nil, fmt.Errorf("%q holds containers and is of a kind that is not read: %w", kind, err)
		}
		metadata, _ := root["metadata"].(map[string]any)
		name, _ := metadata["name"].(string)
		return nil, []string{fmt.Sprintf("%s %q", kind, name)}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	return []workload.Object{object}, nil, nil
}

// holdsContainers reports whether a list named as a Pod's containers are occurs
// anywhere in a value. The schema of a custom resource may describe such a
// list, under that name, and holds none.
func holdsContainers(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			_, isList := member.([]any)
			switch strings.ToLower(name) {
			case "containers", "initcontainers", "ephemeralcontainers":
				if isList {
					return true
				}
			}
			if holdsContainers(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, holdsContainers)
	}
	return false
}
