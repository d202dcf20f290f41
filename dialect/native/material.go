package native

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
)

// The entries of Secrets and ConfigMaps that are read if none is named.
const (
	keyEntry          = "cosign.pub" // as `cosign generate-key-pair k8s://` names it
	logKeyEntry       = "public"     // as Sigstore's Helm charts name it
	certificateEntry  = "tls.crt"    // as cert-manager and Kubernetes name it
	certificatesEntry = "ca.crt"     // as they name authorities
	trustedRootEntry  = "trusted_root.json"
	tufRootEntry      = "root.json"
)

// maxMaterialBytes bounds a key or a set of certificates. A bundle of all
// public roots is smaller.
const maxMaterialBytes = 1 << 20

// material is the content of a key or certificates, and the path of the field
// that named it.
type material struct {
	content []byte
	path    string
}

// ownMaterial is TRUST R17.
const ownMaterial = "expected none: a VerificationPolicy names only inline material and Secrets and ConfigMaps of its own namespace"

func sources(m v1alpha1.Material) []dialect.Field {
	return []dialect.Field{
		dialect.Given("pem", m.PEM != ""), dialect.Given("secretRef", m.SecretRef != nil),
		dialect.Given("configMapRef", m.ConfigMapRef != nil), dialect.Given("file", m.File != ""),
	}
}

// read returns what a policy refers to.
func (c *compiler) read(path string, m v1alpha1.Material, entry string) (material, bool) {
	if !c.ExactlyOne(path, sources(m)...) {
		return material{}, false
	}
	return c.source(path, m, entry)
}

func jsonSources(m v1alpha1.JSONMaterial) []dialect.Field {
	return append([]dialect.Field{dialect.Given("json", m.JSON != "")}, sources(withoutText(m))[1:]...)
}

func withoutText(m v1alpha1.JSONMaterial) v1alpha1.Material {
	return v1alpha1.Material{SecretRef: m.SecretRef, ConfigMapRef: m.ConfigMapRef, File: m.File}
}

// document is source for JSON.
func (c *compiler) document(path string, m v1alpha1.JSONMaterial, entry string) (material, bool) {
	if m.JSON != "" {
		return c.bounded(material{[]byte(m.JSON), path + ".json"})
	}
	return c.source(path, withoutText(m), entry)
}

// source returns the content of the one source that is set.
func (c *compiler) source(path string, m v1alpha1.Material, entry string) (material, bool) {
	var found material
	var ok bool
	switch {
	case m.SecretRef != nil:
		found, ok = c.entry(path+".secretRef", *m.SecretRef, entry, "Secret")
	case m.ConfigMapRef != nil:
		found, ok = c.entry(path+".configMapRef", *m.ConfigMapRef, entry, "ConfigMap")
	case m.File != "":
		found, ok = c.file(path+".file", m.File)
	default:
		found, ok = material{[]byte(m.PEM), path + ".pem"}, true
	}
	if !ok {
		return material{}, false
	}
	return c.bounded(found)
}

func (c *compiler) bounded(found material) (material, bool) {
	if size := len(found.content); size == 0 || size > maxMaterialBytes {
		c.Errorf(found.path, "expected 1 to %d bytes, got %d", maxMaterialBytes, size)
		return material{}, false
	}
	return found, true
}

func (c *compiler) file(path, name string) (material, bool) {
	if c.namespaced {
		c.Errorf(path, ownMaterial)
		return material{}, false
	}
	if c.formal {
		return c.pass()
	}
	content, err := c.material.File(c.Document, name)
	if err != nil {
		c.Errorf(path, "expected a file that can be read: %w", err)
		return material{}, false
	}
	return material{content, path}, true
}

// entry returns an entry of a Secret or ConfigMap. A namespaced policy reaches
// its own namespace only (TRUST R17); what is elsewhere is not looked for, so
// that an error does not tell whether it is there.
func (c *compiler) entry(path string, ref v1alpha1.ObjectEntry, key, kind string) (material, bool) {
	namespace := ref.Namespace
	switch {
	case c.namespaced && namespace != "" && namespace != c.Document.Namespace:
		c.Errorf(path+".namespace", "expected %q, the policy's own, or none: a VerificationPolicy reads nothing of another namespace; got %q", c.Document.Namespace, dialect.Clip(namespace))
		return material{}, false
	case c.namespaced:
		namespace = c.Document.Namespace
	case namespace == "":
		c.Missing(path+".namespace", "expected a namespace, got none: a ClusterVerificationPolicy has none of its own")
		return material{}, false
	}
	if ref.Name == "" {
		c.Missing(path+".name", "expected a name, got none")
		return material{}, false
	}
	if c.formal {
		return c.pass()
	}
	get := c.material.Secret
	if kind == "ConfigMap" {
		get = c.material.ConfigMap
	}
	object, err := get(namespace, ref.Name)
	switch {
	case errors.Is(err, dialect.ErrNoMaterial):
		c.Errorf(path, "expected %s %q among the objects that are read, got none", kind, dialect.Clip(namespace+"/"+ref.Name))
		return material{}, false
	case err != nil:
		c.Errorf(path, "expected %s %q to be readable: %w", kind, dialect.Clip(namespace+"/"+ref.Name), err)
		return material{}, false
	}
	return c.value(path, ref.Key, key, object)
}

// value returns an entry's content. The names of other entries may be told,
// their content not.
func (c *compiler) value(path, key, usual string, object dialect.Object) (material, bool) {
	if key == "" {
		key = usual
	} else {
		path += ".key"
	}
	if content, found := object.Data[key]; found {
		return material{content, path}, true
	}
	const listed = 5 // more names than that help nobody
	names := slices.Sorted(maps.Keys(object.Data))
	has := strings.Join(names[:min(len(names), listed)], ", ")
	if has == "" {
		has = "no entry"
	}
	c.Near(path, key, names, "expected an entry %q in %s %q, got one that has %s", dialect.Clip(key), object.Kind, object.Namespace+"/"+object.Name, dialect.Clip(has))
	return material{}, false
}

// storePath returns where the certificates of the trust store were written that
// an error of the signers is about.
func storePath(err error, sources []string, otherwise string) string {
	var spec *dialect.SpecError
	if errors.As(err, &spec) && spec.Index >= 0 && spec.Index < len(sources) {
		return sources[spec.Index]
	}
	return otherwise
}
