package kyverno

import (
	"reflect"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
)

// Treatment says what becomes of a field.
type Treatment string

// The treatments.
const (
	Honoured Treatment = "honoured" // it means what Kyverno documents
	Note     Treatment = "note"     // it is accepted, and a Note says what replaces it
	Refused  Treatment = "refused"  // a policy that sets it is refused
	NoEffect Treatment = "no effect"
)

// Field is a field of a policy and what becomes of it.
type Field struct {
	Object    string // that has the field, such as "spec.rules[]"
	Name      string
	Treatment Treatment
	Text      string // how, or why
}

// section is a type of document.go and its fields.
type section struct {
	of     reflect.Type
	object string
	fields []Field
}

// Fields returns every field of a policy that can stand where images are
// verified, in the order of the documentation.
func Fields() []Field {
	var all []Field
	for _, s := range sections() {
		for _, f := range s.fields {
			f.Object = s.object
			all = append(all, f)
		}
	}
	return all
}

func sections() []section {
	return slices.Concat(policySections(), ruleSections(), entrySections(), attestorSections())
}

func policySections() []section {
	return []section{
		{reflect.TypeFor[policyDocument](), "ClusterPolicy, Policy", []Field{
			{Name: "apiVersion", Treatment: Honoured, Text: "kyverno.io/v1 and kyverno.io/v2beta1"},
			{Name: "kind", Treatment: Honoured, Text: "ClusterPolicy; Policy, which reads only Secrets and ConfigMaps of its own namespace"},
			{Name: "metadata", Treatment: Honoured, Text: "the annotations " + annotationAutogen + ", " + annotationOptOut + " and " + annotationAnySubject + "; the others, and the other fields of Kubernetes' own, have no effect"},
			{Name: "spec", Treatment: Honoured},
			{Name: "status", Treatment: NoEffect, Text: "Kyverno writes it"},
		}},
		{reflect.TypeFor[spec](), "spec", []Field{
			{Name: "rules", Treatment: Honoured, Text: "one policy for each entry of verifyImages"},
			{Name: "validationFailureAction", Treatment: Honoured, Text: "in either case of letters; Audit, the default, is a weakening"},
			{Name: "validationFailureActionOverrides", Treatment: Honoured, Text: "the first that names the namespace; at a door that carries none, Enforce"},
			{Name: "failurePolicy", Treatment: Note, Text: "Ignore is not followed: what could not be decided is denied"},
			{Name: "webhookTimeoutSeconds", Treatment: Note, Text: "the webhook's registration decides how long the API server waits"},
			{Name: "webhookConfiguration", Treatment: Honoured},
			{Name: "emitWarning", Treatment: Honoured, Text: "with Audit: mode Warn"},
			{Name: "applyRules", Treatment: Honoured, Text: "One is refused where there are several rules"},
			{Name: "admission", Treatment: Honoured, Text: "false is refused"},
			{Name: "background", Treatment: Note, Text: "nothing is scanned in the background"},
			{Name: "schemaValidation", Treatment: NoEffect, Text: "deprecated; it is about mutation"},
			{Name: "mutateExistingOnPolicyUpdate", Treatment: Refused, Text: "it is not image verification"},
			{Name: "generateExisting", Treatment: Refused, Text: "it is not image verification"},
			{Name: "generateExistingOnPolicyUpdate", Treatment: Refused, Text: "it is not image verification"},
			{Name: "useServerSideApply", Treatment: NoEffect, Text: "it is about generated objects"},
		}},
		{reflect.TypeFor[override](), "spec.validationFailureActionOverrides[]", []Field{
			{Name: "action", Treatment: Honoured},
			{Name: "namespaces", Treatment: Honoured, Text: "with wildcards"},
			{Name: "namespaceSelector", Treatment: Refused, Text: "name the namespaces: labels would decide what is enforced"},
		}},
		{reflect.TypeFor[webhookConfiguration](), "spec.webhookConfiguration", []Field{
			{Name: "failurePolicy", Treatment: Note, Text: "Ignore is not followed: what could not be decided is denied"},
			{Name: "timeoutSeconds", Treatment: Note, Text: "the webhook's registration decides how long the API server waits"},
			{Name: "matchConditions", Treatment: Refused, Text: "they would leave requests out before the policy is asked: write them into the webhook's registration"},
		}},
	}
}

func ruleSections() []section {
	const filterText = "who asks does not decide what is verified: select by namespaces"
	return []section{
		{reflect.TypeFor[rule](), "spec.rules[]", []Field{
			{Name: "name", Treatment: Honoured},
			{Name: "context", Treatment: Honoured},
			{Name: "match", Treatment: Honoured, Text: "one of any, all and resources"},
			{Name: "exclude", Treatment: Honoured, Text: "one of any, all and resources; one that leaves nothing of match is refused"},
			{Name: "verifyImages", Treatment: Honoured, Text: "every entry that covers an image must hold"},
			{Name: "preconditions", Treatment: Refused, Text: "what a workload's author writes would decide whether the rule applies"},
			{Name: "celPreconditions", Treatment: Refused, Text: "what a workload's author writes would decide whether the rule applies"},
			{Name: "imageExtractors", Treatment: Refused, Text: "images are found where Kubernetes finds them; other kinds are not supported"},
			{Name: "validate", Treatment: Refused, Text: "it is not image verification: keep the rule in a policy of its own, in Kyverno"},
			{Name: "mutate", Treatment: Refused, Text: "it is not image verification: keep the rule in a policy of its own, in Kyverno"},
			{Name: "generate", Treatment: Refused, Text: "it is not image verification: keep the rule in a policy of its own, in Kyverno"},
			{Name: "reportProperties", Treatment: Note, Text: "reports do not carry them"},
			{Name: "skipBackgroundRequests", Treatment: NoEffect, Text: "Kyverno's background controller makes no requests here"},
		}},
		{reflect.TypeFor[matchResources](), "match, exclude", []Field{
			{Name: "any", Treatment: Honoured},
			{Name: "all", Treatment: Honoured},
			{Name: "resources", Treatment: Honoured},
			{Name: "subjects", Treatment: Refused, Text: filterText},
			{Name: "roles", Treatment: Refused, Text: filterText},
			{Name: "clusterRoles", Treatment: Refused, Text: filterText},
		}},
		{reflect.TypeFor[resourceFilter](), "match, exclude: any[], all[]", []Field{
			{Name: "resources", Treatment: Honoured},
			{Name: "subjects", Treatment: Refused, Text: filterText},
			{Name: "roles", Treatment: Refused, Text: filterText},
			{Name: "clusterRoles", Treatment: Refused, Text: filterText},
		}},
		{reflect.TypeFor[resources](), "resources", []Field{
			{Name: "kinds", Treatment: Honoured, Text: "Kind, version/Kind, group/version/Kind with wildcards; in match the version does not matter. " +
				"A rule for Pods is also one for the workloads that make them, as the annotation says. An enforcing rule that leaves Pods out needs the annotation " + annotationOptOut},
			{Name: "namespaces", Treatment: Honoured, Text: "with wildcards"},
			{Name: "nameSpaces", Treatment: Note, Text: "read as namespaces"},
			{Name: "namespaceSelector", Treatment: Honoured, Text: "refused without a cluster"},
			{Name: "selector", Treatment: Honoured, Text: "without wildcards; in an enforcing policy it needs the annotation " + annotationOptOut},
			{Name: "operations", Treatment: Honoured, Text: "CREATE or UPDATE alone is a weakening"},
			{Name: "name", Treatment: Refused, Text: "a workload's author chooses it"},
			{Name: "names", Treatment: Refused, Text: "a workload's author chooses them"},
			{Name: "annotations", Treatment: Refused, Text: "a workload's author writes them"},
		}},
		{reflect.TypeFor[contextEntry](), "context[]", []Field{
			{Name: "name", Treatment: Honoured},
			{Name: "configMap", Treatment: Honoured, Text: "read when the policy is loaded"},
			{Name: "variable", Treatment: Honoured, Text: "a value that is written out"},
			{Name: "apiCall", Treatment: Refused, Text: "nothing is fetched from where a policy says"},
			{Name: "imageRegistry", Treatment: Refused, Text: "nothing is fetched from where a policy says"},
			{Name: "globalReference", Treatment: Refused, Text: "Kyverno keeps those"},
		}},
		{reflect.TypeFor[configMapEntry](), "context[].configMap", []Field{
			{Name: "name", Treatment: Honoured},
			{Name: "namespace", Treatment: Honoured, Text: "default if a ClusterPolicy names none; a Policy's is its own"},
		}},
		{reflect.TypeFor[contextVariable](), "context[].variable", []Field{
			{Name: "value", Treatment: Honoured, Text: "without variables in it"},
			{Name: "jmesPath", Treatment: Refused, Text: "write the value out"},
			{Name: "default", Treatment: Refused, Text: "write the value out"},
		}},
	}
}

func entrySections() []section {
	return []section{
		{reflect.TypeFor[entry](), "verifyImages[]", []Field{
			{Name: "type", Treatment: Note, Text: "Cosign and SigstoreBundle: both formats count; Notary: the Notary Project's signatures"},
			{Name: "imageReferences", Treatment: Honoured, Text: "a name is included if it matches with its tag, with its digest or without both, by any spelling of its registry; of a name with a digest any tag of the pattern counts as matched"},
			{Name: "skipImageReferences", Treatment: Honoured, Text: "a name is skipped if it matches exactly; a tag beside a digest, or an alias of a registry, skips nothing; patterns that skip everything are refused"},
			{Name: "failureAction", Treatment: Honoured, Text: "as in Kyverno one entry that enforces makes its rule enforce"},
			{Name: "attestors", Treatment: Honoured, Text: "every set must hold"},
			{Name: "attestations", Treatment: Honoured, Text: "each must hold"},
			{Name: "mutateDigest", Treatment: Honoured, Text: "true with Audit is an error; false beside verifyDigest pins all the same, with a Note"},
			{Name: "verifyDigest", Treatment: Honoured, Text: "both false is a weakening: tags are left as they are"},
			{Name: "required", Treatment: Note, Text: "false changes nothing: an image that the entry covers is verified at every door"},
			{Name: "useCache", Treatment: Note, Text: "false changes nothing: what was proven is remembered by digest and key"},
			{Name: "imageRegistryCredentials", Treatment: Honoured},
			{Name: "validate", Treatment: Refused, Text: "conditions over several attestations are not supported: write them as the conditions of each"},
			{Name: "repository", Treatment: Honoured, Text: "where an attestor has none of its own; refused for type Notary, and in a Policy"},
			{Name: "cosignOCI11", Treatment: NoEffect, Text: "signatures are found by tags and as referrers, whatever it says"},
			{Name: "image", Treatment: Honoured, Text: "as one more of imageReferences"},
			{Name: "key", Treatment: Honoured, Text: "no log is asked for, which is a weakening; with attestations it signs those and not the image"},
			{Name: "annotations", Treatment: Honoured, Text: "where an attestor has none of its own; refused beside attestations"},
			{Name: "issuer", Treatment: Honoured, Text: "with subject, as an attestor's keyless; with attestations it signs those and not the image; refused beside key"},
			{Name: "subject", Treatment: Honoured, Text: "needed beside issuer"},
			{Name: "roots", Treatment: Honoured, Text: "as keyless has it; needs issuer"},
			{Name: "additionalExtensions", Treatment: Honoured, Text: "as keyless has them; needs issuer"},
		}},
		{reflect.TypeFor[credentials](), "imageRegistryCredentials", []Field{
			{Name: "allowInsecureRegistry", Treatment: Note, Text: "effective only for hosts that the operator names with --insecure-registry"},
			{Name: "secrets", Treatment: Honoured, Text: "name, in namespace " + SystemNamespace + ", or namespace/name; beside those of the workload"},
			{Name: "providers", Treatment: Note, Text: "the operator configures how credentials are found"},
			{Name: "helpers", Treatment: Note, Text: "the operator configures how credentials are found"},
		}},
		{reflect.TypeFor[attestation](), "attestations[]", []Field{
			{Name: "name", Treatment: NoEffect, Text: "only validate refers to it"},
			{Name: "type", Treatment: Honoured, Text: "the predicate type, exactly"},
			{Name: "predicateType", Treatment: Honoured, Text: "as type"},
			{Name: "attestors", Treatment: Honoured, Text: "needed, unless the entry has a key or an issuer"},
			{Name: "conditions", Treatment: Honoured, Text: "every statement of the type that the attestor signed must meet them"},
		}},
		{reflect.TypeFor[conditionBlock](), "conditions[]", []Field{
			{Name: "any", Treatment: Honoured},
			{Name: "all", Treatment: Honoured},
		}},
		{reflect.TypeFor[conditionTest](), "conditions[]: any[], all[]", []Field{
			{Name: "key", Treatment: Honoured, Text: "with variables: the predicate's fields, the rule's context, the request"},
			{Name: "operator", Treatment: Honoured, Text: "in any case of letters"},
			{Name: "value", Treatment: Honoured, Text: "with variables, as key"},
			{Name: "message", Treatment: Honoured},
		}},
	}
}

func attestorSections() []section {
	return []section{
		{reflect.TypeFor[attestorSet](), "attestors[]", []Field{
			{Name: "count", Treatment: Honoured, Text: "of distinct signers; none means all"},
			{Name: "entries", Treatment: Honoured},
		}},
		{reflect.TypeFor[attestor](), "attestors[].entries[]", []Field{
			{Name: "keys", Treatment: Honoured},
			{Name: "certificates", Treatment: Honoured},
			{Name: "keyless", Treatment: Honoured, Text: "refused for type Notary"},
			{Name: "attestor", Treatment: Honoured, Text: "at most 8 inside one another"},
			{Name: "annotations", Treatment: Honoured, Text: "of signatures of type Cosign; else refused"},
			{Name: "signatureAlgorithm", Treatment: Honoured, Text: "of keys: sha224, sha256, sha384, sha512; certificates bring their own, with a Note"},
			{Name: "repository", Treatment: Honoured, Text: "before the entry's; refused for type Notary, and in a Policy"},
		}},
		{reflect.TypeFor[keys](), "keys", []Field{
			{Name: "publicKeys", Treatment: Honoured, Text: "PEM, of which each block is an entry of its own, k8s://namespace/name, or the URI of a key management service; files and other URLs are refused"},
			{Name: "secret", Treatment: Honoured, Text: "its entry " + keyEntry},
			{Name: "kms", Treatment: Honoured, Text: "awskms://, azurekms://, gcpkms:// or hashivault://; refused in a Policy"},
			{Name: "signatureAlgorithm", Treatment: Honoured, Text: "before the attestor's"},
			{Name: "rekor", Treatment: Honoured, Text: "without ignoreTlog a log entry is required"},
			{Name: "ctlog", Treatment: Honoured},
		}},
		{reflect.TypeFor[secretRef](), "keys.secret", []Field{
			{Name: "name", Treatment: Honoured},
			{Name: "namespace", Treatment: Honoured},
		}},
		{reflect.TypeFor[certificates](), "certificates", []Field{
			{Name: "cert", Treatment: Honoured, Text: "PEM, or PEM in base64: the certificate that must have signed. It must have been valid when a log or a timestamp says that the signature was made, or else now. For type Notary it is an authority as certChain is"},
			{Name: "certChain", Treatment: Honoured, Text: "PEM, or PEM in base64: authorities, each before the one that issued it. Without cert every certificate that they vouch for counts, which is a weakening. With it ctlog.ignoreSCT: true is needed, but for type Notary"},
			{Name: "rekor", Treatment: Honoured, Text: "without ignoreTlog a log entry is required; without effect for type Notary"},
			{Name: "ctlog", Treatment: Honoured, Text: "without effect for type Notary"},
		}},
		{reflect.TypeFor[keyless](), "keyless", []Field{
			{Name: "issuer", Treatment: Honoured, Text: "with wildcards, in type SigstoreBundle without; it or issuerRegExp is needed, and not both. One that means every issuer is refused without the annotation " + annotationAnySubject + ", and a weakening with it"},
			{Name: "issuerRegExp", Treatment: Honoured, Text: "RE2; it is a weakening unless it begins with ^ and ends with $, since it matches anywhere in the text"},
			{Name: "subject", Treatment: Honoured, Text: "as issuer. A certificate without any subject alternative name, or with two, never counts; one of a workflow that another repository called counts only if additionalExtensions names that repository"},
			{Name: "subjectRegExp", Treatment: Honoured, Text: "as issuerRegExp"},
			{Name: "roots", Treatment: Honoured, Text: "each certificate is an authority that counts in place of those of the trusted root that the operator names"},
			{Name: "rekor", Treatment: Honoured, Text: "without ignoreTlog a log entry is required"},
			{Name: "ctlog", Treatment: Honoured, Text: "without ignoreSCT a promise by a certificate transparency log is required"},
			{Name: "additionalExtensions", Treatment: Honoured, Text: "the six that Kyverno knows, by name or identifier, with wildcards; of the issuer one that issuer does not meet is refused. githubWorkflowRepository, without wildcards, names the repository of a workflow that another's calls"},
		}},
		{reflect.TypeFor[rekor](), "rekor", []Field{
			{Name: "url", Treatment: Note, Text: "not contacted: entries come with signatures and are verified by the log's key"},
			{Name: "pubkey", Treatment: Honoured, Text: "counts in place of the logs of the trusted root that the operator names; without effect beside ignoreTlog"},
			{Name: "ignoreTlog", Treatment: Honoured, Text: "true is a weakening; of keyless it needs a timestamp authority"},
		}},
		{reflect.TypeFor[ctlog](), "ctlog", []Field{
			{Name: "ignoreSCT", Treatment: Honoured, Text: "true is a weakening of keyless, needed beside certChain, and without effect for keys"},
			{Name: "pubkey", Treatment: Honoured, Text: "of keyless: counts in place of the certificate logs of the trusted root that the operator names; without effect for keys and certificates, and beside ignoreSCT"},
			{Name: "tsaCertChain", Treatment: Honoured, Text: "certificates, each before the one that issued it; counts in place of the timestamp authorities of the trusted root that the operator names. A timestamp is asked for only where keyless ignores the log; one that is present must verify"},
		}},
	}
}

// fields reports what is set of the fields that are refused or noted whatever
// they say.
func (c *compiler) fields() {
	texts := make(map[reflect.Type]map[string]string)
	for _, s := range sections() {
		texts[s.of] = make(map[string]string)
		for _, f := range s.fields {
			texts[s.of][f.Name] = f.Text
		}
	}
	w := fieldWalk{compiler: c, texts: texts}
	w.value(reflect.ValueOf(c.read), "")
}

type fieldWalk struct {
	*compiler
	texts map[reflect.Type]map[string]string
}

func (w fieldWalk) value(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			w.value(v.Elem(), path)
		}
	case reflect.Slice:
		for i := range v.Len() {
			w.value(v.Index(i), dialect.At(path, i))
		}
	case reflect.Struct:
		texts, ours := w.texts[v.Type()]
		if !ours {
			return
		}
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			w.field(v.Field(i), strings.TrimPrefix(path+"."+name, "."), texts[name])
		}
	}
}

func (w fieldWalk) field(v reflect.Value, path, text string) {
	switch f := v.Interface().(type) {
	case refused:
		if f.set {
			w.refuse(path, text)
		}
	case noted:
		if f.set {
			w.Note(path, "%s", text)
		}
	default:
		w.value(v, path)
	}
}
