// Package cloudevents takes CloudEvents 1.0 from HTTP to Kafka, by the bindings of both: it tells
// the mode of a request, checks events, and makes the headers of their records.
//
// An event stays as it came. In structured mode the record's value is the event, and its header
// content-type names the format. In binary mode the value is the event's data, and the attributes,
// which are ce-NAME over HTTP, are headers ce_NAME. Nothing is converted from one mode to the
// other.
package cloudevents
