import react from '@vitejs/plugin-react';

export default {
  plugins: [react()],
  base: './',
  build: { target: 'es2022', minify: false, reportCompressedSize: false, chunkSizeWarningLimit: 1e6 },
  define: { 'process.env.NODE_ENV': '"production"' },
};
