// Package dialect reads policy documents: it finds the files, splits them into
// documents that remember file and line, decodes them strictly, and hands each
// to the dialect that reads its kind. It also declares what dialects need from
// others: the material that policies refer to ([Material]) and the signers that
// it becomes ([Signers]). What a dialect finds on the way, it collects in a
// [Report].
//
// It refuses rather than guesses (TRUST R19): an unknown field, a field in the
// wrong case, a value of the wrong type, a duplicate key and an unknown kind
// are errors. Every error of a file is reported, not the first alone, each with
// file, line, field and, where one is near, the name that was probably meant.
//
// It decides nothing, keeps no registry of dialects and reads no cluster.
package dialect
