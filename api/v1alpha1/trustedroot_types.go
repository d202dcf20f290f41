package v1alpha1

// TrustedRoot is what a Sigstore signer trusts: certificate authorities,
// transparency logs and timestamp authorities. Exactly one field MUST be set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.json), has(self.secretRef), has(self.configMapRef), has(self.file), has(self.builtin), has(self.parts), has(self.tuf)].exists_one(x, x)",message="exactly one of json, secretRef, configMapRef, file, builtin, parts and tuf"
type TrustedRoot struct {
	// A trusted_root.json (sigstore protobuf-specs, TrustedRoot).
	JSONMaterial `json:",inline"`

	// Builtin is PublicGood: Sigstore's public instance, as of the dated snapshot
	// that this version of Bonafide ships. Nothing is asked for a newer one: logs
	// and authorities that Sigstore has added since are missing, and those that it
	// has retired since still count.
	//
	// +optional
	Builtin BuiltinRoot `json:"builtin,omitempty"`

	// Parts are the parts of a trusted root.
	//
	// +optional
	Parts *TrustedRootParts `json:"parts,omitempty"`

	// TUF is a repository that has the trusted root. Never for a
	// VerificationPolicy (TRUST R17).
	//
	// +optional
	TUF *TUFRepository `json:"tuf,omitempty"`
}

// BuiltinRoot is a trusted root that Bonafide ships.
//
// +kubebuilder:validation:Enum=PublicGood
type BuiltinRoot string

// BuiltinPublicGood is Sigstore's public instance.
const BuiltinPublicGood BuiltinRoot = "PublicGood"

// TrustedRootParts are the parts of a trusted root, in PEM, as a private instance
// of Sigstore hands them out. At least one list MUST have an entry. The parts have
// no periods: certificates count as long as they are valid, keys at any time. A
// log of Rekor's version 2 needs a trusted_root.json.
//
// +kubebuilder:validation:XValidation:rule="has(self.fulcio) || has(self.rekor) || has(self.ctLogs) || has(self.timestampAuthorities)",message="at least one of fulcio, rekor, ctLogs and timestampAuthorities"
type TrustedRootParts struct {
	// Fulcio are the chains of certificate authorities, each with its root last.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef and file"
	// +listType=atomic
	Fulcio []Material `json:"fulcio,omitempty"`

	// Rekor are the public keys of transparency logs.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef and file"
	// +listType=atomic
	Rekor []Material `json:"rekor,omitempty"`

	// CTLogs are the public keys of certificate transparency logs.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef and file"
	// +listType=atomic
	CTLogs []Material `json:"ctLogs,omitempty"`

	// TimestampAuthorities are the chains of timestamp authorities, each with its
	// root last, and the certificate that signs first if it is known.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef and file"
	// +listType=atomic
	TimestampAuthorities []Material `json:"timestampAuthorities,omitempty"`
}

// TUFRepository is a repository of The Update Framework with a trusted root. It
// is asked beside decisions and kept on disk. Until it has answered the signer is
// undecided; while it does not answer the last that was verified stays in use,
// until a week after its metadata expired.
type TUFRepository struct {
	// Mirror is the repository's URL, such as https://tuf.example.com. It is
	// https, unless the operator names the host as insecure.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Mirror string `json:"mirror"`

	// Root is a root.json of the repository, from which all later ones are
	// verified.
	//
	// +kubebuilder:validation:XValidation:rule="[has(self.json), has(self.secretRef), has(self.configMapRef), has(self.file)].exists_one(x, x)",message="exactly one of json, secretRef, configMapRef and file"
	Root JSONMaterial `json:"root"`

	// Target is the name of the trusted root in the repository. Default
	// trusted_root.json.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Target string `json:"target,omitempty"`
}

// JSONMaterial is where a JSON document is found. Exactly one field MUST be set.
type JSONMaterial struct {
	// JSON is the document itself, as a text.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1048576
	JSON string `json:"json,omitempty"`

	// SecretRef names an entry of a Secret.
	//
	// +optional
	SecretRef *ObjectEntry `json:"secretRef,omitempty"`

	// ConfigMapRef names an entry of a ConfigMap.
	//
	// +optional
	ConfigMapRef *ObjectEntry `json:"configMapRef,omitempty"`

	// File is a path on the machine that verifies. A relative path begins at the
	// directory of the policy's own file. Never for a VerificationPolicy
	// (TRUST R17).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	File string `json:"file,omitempty"`
}
