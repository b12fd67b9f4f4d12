import java.io.*;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.*;
import javax.tools.*;

/**
 * javac, kept warm: reads requests on standard input and answers on standard output until that ends.
 *
 * A request is "LENGTH NAME OPTION...\n" and LENGTH bytes of source; an answer "STATUS COUNT\n", then what the
 * compiler said and the class files, each as "LENGTH NAME\n" and bytes. It compiles and never runs anything: no
 * annotation processors, no other source than the one given, no class path but the libraries of the image. STATUS 75
 * says that the compiler itself gave up, and that this process is not to be used again.
 */
public class Compiler {
    static final class Source extends SimpleJavaFileObject {
        final String text;

        Source(String name, String text) {
            super(URI.create("string:///" + name), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    static final class Made extends SimpleJavaFileObject {
        final String name;
        final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        Made(String name) {
            super(URI.create("made:///" + Integer.toHexString(name.hashCode())), Kind.CLASS);
            this.name = name;
        }

        @Override
        public OutputStream openOutputStream() {
            return bytes;
        }
    }

    static final class Files extends ForwardingJavaFileManager<StandardJavaFileManager> {
        final Map<String, Made> made = new LinkedHashMap<>();

        Files(StandardJavaFileManager standard) {
            super(standard);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(Location location, String name, JavaFileObject.Kind kind, FileObject sibling) {
            Made file = new Made(name.replace('.', '/') + kind.extension);
            made.put(file.name, file);
            return file;
        }

        @Override
        public boolean hasLocation(Location location) {
            return location != StandardLocation.SOURCE_PATH && super.hasLocation(location);
        }
    }

    static String line(InputStream in) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int b = in.read(); b != '\n'; b = in.read()) {
            if (b < 0) {
                return null;
            }
            bytes.write(b);
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    static void part(OutputStream out, String name, byte[] bytes) throws IOException {
        out.write((bytes.length + " " + name + "\n").getBytes(StandardCharsets.UTF_8));
        out.write(bytes);
    }

    /** What javac says where its stack, its memory or a fault of its own ends it. */
    static boolean gaveUp(String said) {
        return said.contains("has occurred in the compiler") || said.contains("system is out of resources");
    }

    public static void main(String[] args) throws IOException {
        JavaCompiler javac = ToolProvider.getSystemJavaCompiler();
        StandardJavaFileManager standard = javac.getStandardFileManager(null, null, StandardCharsets.UTF_8);
        standard.setLocation(StandardLocation.CLASS_PATH, List.of(new File(args[0])));
        InputStream in = new BufferedInputStream(System.in);
        OutputStream out = new BufferedOutputStream(System.out);
        for (String request = line(in); request != null; request = line(in)) {
            String[] words = request.split(" ");
            byte[] source = in.readNBytes(Integer.parseInt(words[0]));
            List<String> options = new ArrayList<>(List.of(words).subList(2, words.length));
            options.add("-proc:none");
            StringWriter said = new StringWriter();
            Files files = new Files(standard);
            int[] ended = {75};
            // On a stack that is smaller than the plain compiler's: what has no room on it is left to that one.
            Thread thread = new Thread(null, () -> {
                try {
                    String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(source)).toString();
                    List<Source> sources = List.of(new Source(words[1], text));
                    boolean good = javac.getTask(said, files, null, options, null, sources).call();
                    ended[0] = good ? 0 : gaveUp(said.toString()) ? 75 : 1;
                } catch (Throwable error) { // also a source that is not UTF-8
                    said.write(error.toString());
                }
            }, "compile", 384 << 10);
            thread.start();
            try {
                thread.join();
            } catch (InterruptedException error) {
                throw new IOException(error);
            }
            int status = ended[0];
            Collection<Made> made = status == 0 ? files.made.values() : List.of();
            out.write((status + " " + made.size() + "\n").getBytes(StandardCharsets.UTF_8));
            part(out, "said", said.toString().getBytes(StandardCharsets.UTF_8));
            for (Made file : made) {
                part(out, file.name, file.bytes.toByteArray());
            }
            out.flush();
        }
    }
}
