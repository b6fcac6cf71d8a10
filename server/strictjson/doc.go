// Package strictjson decodes JSON objects whose fields have one name each. The standard decoder takes "ID" for "id", and
// of a field that is given twice the last: two programs that read one text would then differ in what it says. Here a name
// is what it is, as everywhere else on the wire, and a known field that is given twice is an error. Fields that are not
// known are ignored, whatever they hold.
package strictjson
