import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.Encoder;
import org.apache.avro.io.EncoderFactory;

/**
 * Answers how Java's own Avro encodes and decodes: a line "encode|decode TAB schema TAB
 * payload", both in base64, is answered by "ok TAB payload" or "refused TAB why", in base64 too.
 * With "read" the payload is the schema of a writer, and the answer whether the schema reads it.
 * With "print" the answer is the schema as Java writes it.
 */
public class Oracle {
  private static final Map<String, Schema> schemas = new HashMap<>();

  public static void main(String[] args) throws Exception {
    // Damaged bytes claim lengths that would take all of the memory.
    for (String what : new String[] {"string", "bytes"}) {
      System.setProperty("org.apache.avro.limits." + what + ".maxLength", "1048576");
    }
    System.setProperty("org.apache.avro.limits.collectionItems.maxLength", "1048576");
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "US-ASCII"), 1 << 16);
    PrintStream out = new PrintStream(System.out, false, "US-ASCII");
    for (String line; (line = in.readLine()) != null; ) {
      String[] parts = line.split("\t", -1);
      String verdict;
      byte[] payload;
      try {
        payload = answer(parts[0], schema(parts[1]), Base64.getDecoder().decode(parts[2]));
        verdict = "ok";
      } catch (Exception | StackOverflowError | OutOfMemoryError e) {
        verdict = "refused";
        payload = String.valueOf(e).getBytes("UTF-8");
      }
      out.println(verdict + "\t" + Base64.getEncoder().encodeToString(payload));
      if (!in.ready()) {
        out.flush();
      }
    }
    out.flush();
  }

  private static Schema schema(String base64) throws Exception {
    Schema known = schemas.get(base64);
    if (known == null) {
      known = new Schema.Parser().parse(new String(Base64.getDecoder().decode(base64), "UTF-8"));
      schemas.put(base64, known);
    }
    return known;
  }

  private static byte[] answer(String op, Schema schema, byte[] payload) throws Exception {
    if (op.equals("print")) {
      return schema.toString().getBytes("UTF-8");
    }
    if (op.equals("read")) {
      Schema writer = new Schema.Parser().parse(new String(payload, "UTF-8"));
      SchemaCompatibility.SchemaCompatibilityResult result =
          SchemaCompatibility.checkReaderWriterCompatibility(schema, writer).getResult();
      if (result.getCompatibility() != SchemaCompatibility.SchemaCompatibilityType.COMPATIBLE) {
        throw new Exception(String.valueOf(result.getIncompatibilities()));
      }
      return new byte[0];
    }
    GenericDatumReader<Object> reader = new GenericDatumReader<>(schema);
    GenericDatumWriter<Object> writer = new GenericDatumWriter<>(schema);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Object value;
    Encoder encoder;
    if (op.equals("encode")) {
      value = reader.read(null, DecoderFactory.get().jsonDecoder(schema, new String(payload, "UTF-8")));
      encoder = EncoderFactory.get().binaryEncoder(out, null);
    } else {
      value = reader.read(null, DecoderFactory.get().binaryDecoder(payload, null));
      encoder = EncoderFactory.get().jsonEncoder(schema, out);
    }
    writer.write(value, encoder);
    encoder.flush();
    return out.toByteArray();
  }
}
